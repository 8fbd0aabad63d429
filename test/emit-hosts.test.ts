import { describe, expect, test } from 'vitest'
import { emitted, goldens, planOf } from './golden.ts'
import { absent, inNamespace } from './judge.ts'

const hostsOf = async (topology: string): Promise<string> => {
  const { files, refused } = emitted(await planOf(topology), 'hosts')
  expect(refused).toEqual([])
  expect(Object.keys(files)).toEqual(['hosts'])
  return files['hosts'] ?? ''
}

const linesOf = async (topology: string): Promise<readonly string[]> =>
  (await hostsOf(topology)).split('\n').filter(line => line !== '' && !line.startsWith('#'))

/** hosts(5), read by a few lines of our own: the addresses of each name. */
const namesIn = (text: string): ReadonlyMap<string, readonly string[]> => {
  const names = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...all] = line.replace(/#.*/, '').trim().split(/\s+/)
    for (const name of all) names.set(name, [...(names.get(name) ?? []), address])
  }
  return names
}

const NETWORK = `version: 1
host: { name: Server-1 }
bridges:
  br1: { address: "FD12:3456:0001:0::1/64" }
  br0: { address: [192.168.100.1/24, "fd12:3456:2::1/64"] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    hostAddress: 192.168.100.1
    localAddress: 192.168.100.2/24
    localAddress6: "fd12:3456:2:0:0:0:0:2/64"
    hostAddress6: "fd12:3456:2::1"
    extraVeths:
      zz: { hostBridge: br1, localAddress6: "fd12:3456:1::9/64" }
      aa: { hostAddress: 10.9.0.1, localAddress: 10.9.0.2 }
  "7": { privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.7 }
  "0x1f": { privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.8 }
  six: { privateNetwork: true, hostAddress6: "fd12:3456:3::1", localAddress6: "fd12:3456:3::2" }
  lease: { privateNetwork: true, hostBridge: br0, dhcp: true, internet: false }
  shared: {}
  off: { enabled: false, privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.9 }
vms:
  vm: { interfaces: { tap1: { hostBridge: br0, address: [192.168.100.9/24, "fd12:3456:2::9/64"] } } }
  noaddress: { interfaces: { tap2: { hostBridge: br0 } } }
`

test('each address of everybody who has one, in canonical form, by name, IPv4 first', async () => {
  expect(await linesOf(NETWORK)).toEqual([
    '192.168.100.1\tServer-1',
    'fd12:3456:2::1\tServer-1',
    'fd12:3456:1::1\tServer-1',
    // Programs take the short names for numbers of an address.
    '10.2.0.8\t0x1f.containers',
    '10.2.0.7\t7.containers',
    'fd12:3456:3::2\tsix.containers six',
    '192.168.100.2\tweb.containers web',
    '10.9.0.2\tweb.containers web',
    'fd12:3456:2::2\tweb.containers web',
    'fd12:3456:1::9\tweb.containers web',
    '192.168.100.9\tvm',
    'fd12:3456:2::9\tvm'
  ])
})

test('every other line is a comment, the mark before all', async () => {
  const text = await hostsOf(NETWORK)
  expect(text.split('\n', 1)).toEqual([
    '# Made by netplan 0.0.0 for hosts from the topology "topology"; change that and generate anew.'
  ])
  expect(text).toMatch(/^(?:# .*\n)+(?:[\d.a-f:]+\t[\w.-]+(?: [\w-]+)?\n)+$/)
})

test('the same network gives the same bytes, whatever the order of its keys', async () => {
  const [head = '', body = ''] = NETWORK.split('containers:\n')
  const [containers = '', vms = ''] = body.split('vms:\n')
  const turned = containers
    .replace(/^ {6}zz: .*\n/m, '')
    .replace(/^( {6}aa: .*\n)/m, '$1      zz: { hostBridge: br1, localAddress6: "fd12:3456:1::9/64" }\n')
    .split(/^ {2}(?=\S)/m)
    .slice(1)
    .toReversed()
  const shuffled = `${head}vms:\n${vms}containers:\n${turned.map(part => `  ${part}`).join('')}`
  expect((await planOf(shuffled)).topology.containers[0]?.name).not.toBe('web')
  expect(await hostsOf(shuffled)).toBe(await hostsOf(NETWORK))
})

test('a host without a name, and a network without addresses, have no lines', async () => {
  expect(await linesOf('version: 1\nbridges: { br0: { address: [10.0.0.1/24] } }\n')).toEqual([])
  expect(await linesOf('version: 1\nhost: { name: server }\ncontainers: { a: {} }\n')).toEqual([])
})

describe('refused', () => {
  const pair = 'privateNetwork: true, hostAddress: 10.2.0.1, internet: false'
  const vm = (name: string): string =>
    `vms: { ${name}: { interfaces: { tap1: { hostBridge: br0, address: [10.1.0.9/24] } } } }\nbridges: { br0: { address: [10.1.0.1/24] } }\n`
  const cases: readonly (readonly [name: string, topology: string, words: readonly RegExp[]])[] = [
    [
      'a machine that cannot be called so',
      `version: 1\n${vm('win_11')}`,
      [/machine "win_11": it is no host name/]
    ],
    [
      'a machine with lines in its name',
      `version: 1\n${vm('"a\\nb"')}`,
      [/machine "a\\nb": it is no host name/]
    ],
    [
      'a machine whose name is a number',
      `version: 1\n${vm('"12"')}`,
      [/machine "12": programs take it for a number/]
    ],
    [
      'a host that cannot be called so',
      `version: 1\nhost: { name: "a b" }\nbridges: { br0: { address: [10.1.0.1/24] } }\n`,
      [/the host "a b": it is no host name/]
    ],
    [
      'localhost',
      `version: 1\ncontainers: { localhost: { ${pair}, localAddress: 10.2.0.2 } }\n`,
      [/container "localhost": every machine means itself/]
    ],
    [
      'one name for two',
      `version: 1\nhost: { name: web }\n${vm('Web')}containers: { WEB: { ${pair}, localAddress: 10.2.0.2 } }\n`,
      [/container "WEB": the host "web" has it/, /machine "Web": the host "web" has it/]
    ]
  ]
  test.each(cases)('%s', async (_, topology, words) => {
    const { refused } = emitted(await planOf(topology), 'hosts')
    expect(refused).toEqual(words.map(word => expect.stringMatching(word)))
  })

  test('an address that could not be chosen', async () => {
    const plan = await planOf(`version: 1\ncontainers: { a: { ${pair}, localAddress: 10.2.0.2 } }\n`)
    const linksOf = new Map(
      Array.from(plan.linksOf, ([node, links]) => [
        node,
        links.map(link => ({
          ...link,
          addresses: link.addresses.map(text => ({ ...text, text: 'auto', auto: true, prefix: undefined }))
        }))
      ])
    )
    expect(emitted({ ...plan, linksOf }, 'hosts').refused).toEqual([
      'containers.a.localAddress: "auto": there is no address for it'
    ])
  })

  test('but not for a name without an address', async () => {
    expect(await linesOf('version: 1\nhost: { name: "a b" }\ncontainers: { localhost: {} }\n')).toEqual([])
  })
})

// The resolver of libc, with this file alone; -A since the namespace has no addresses of its own.
describe('getent finds', () => {
  const resolve = async (
    text: string,
    names: readonly string[]
  ): Promise<ReadonlyMap<string, readonly string[]>> => {
    const { text: said } = await inNamespace(`cat > /run/hosts <<'HOSTS'
${text}HOSTS
echo 'hosts: files' > /run/nsswitch.conf
for file in hosts nsswitch.conf; do mount --bind /run/$file /etc/$file; done
for name in ${names.join(' ')}; do
  echo "$name $(getent -A ahostsv4 $name | awk '$2 == "STREAM" { print $1 }' | xargs) $(getent -A ahostsv6 $name | awk '$2 == "STREAM" && !/^::ffff:/ { print $1 }' | xargs)"
done`)
    return new Map(
      said
        .trim()
        .split('\n')
        .map(line => line.trim().split(/\s+/))
        .map(([name = '', ...addresses]) => [name, addresses])
    )
  }
  const texts = [
    ['a network', NETWORK],
    ...goldens
      .filter(({ outputs }) => !('hosts/refused' in outputs))
      .map(({ name, topology }) => [`golden ${name}`, topology])
  ] as const
  for (const [name = '', topology = ''] of texts)
    test.skipIf(absent(['getent', 'awk', 'xargs', 'mount']))(
      `every name of ${name}, and no other`,
      async () => {
        const text = await hostsOf(topology)
        const expected = namesIn(text)
        const found = await resolve(text, [...expected.keys(), 'nobody', 'containers'])
        for (const [name, addresses] of expected)
          expect([name, [...(found.get(name) ?? [])].sort()]).toEqual([name, [...addresses].sort()])
        expect([found.get('nobody'), found.get('containers')]).toEqual([[], []])
      }
    )

  test.skipIf(absent(['getent', 'awk', 'xargs', 'mount']))(
    'an address where a name is a number: such a name would be dead',
    async () => {
      expect((await resolve('10.2.0.7\t7 x\n', ['7', 'x'])).get('7')).not.toContain('10.2.0.7')
    }
  )
})
