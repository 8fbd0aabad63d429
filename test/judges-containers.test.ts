import { describe, expect, test } from 'vitest'
import { shortIfname } from '../src/net/ifname.ts'
import { absent, type Answer, inNamespace, questions } from './judge.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'

// What the rules of MAC addresses, macvlans, moved interfaces and user ids claim, asked of the kernel and of systemd.

const refusal = (words: RegExp): Answer => ({ ok: false, text: expect.stringMatching(words) })

describe.concurrent('MAC addresses', () => {
  const TOOLS = ['ip']
  const cases = [
    ['01:00:00:00:00:01', 'Cannot assign requested address'],
    ['00:00:00:00:00:00', 'Cannot assign requested address'],
    ['ff:ff:ff:ff:ff:ff', 'Cannot assign requested address'],
    ['1000:00:00:00:001', 'invalid lladdr'],
    ['02-00-00-00-00-01', 'Invalid address length'],
    ['02:00:00:00:00', 'Invalid address length']
  ] as const
  const answer = questions(
    'ip link del x; ip link add x type veth peer name y',
    cases.map(([mac]) => `ip link set dev x address ${mac}`)
  )
  for (const [i, [mac, words]] of cases.entries())
    test.skipIf(absent(TOOLS))(`the kernel and ip refuse ${mac}`, async () => {
      expect(await answer(i)).toEqual(refusal(new RegExp(words)))
    })

  test.skipIf(withoutNetworkd())('networkd clears, ignores or refuses what it does not like', async () => {
    const macs = {
      group: '01:00:00:00:00:01',
      null: '00:00:00:00:00:00',
      odd: '1000:00:00:00:001',
      none: 'none',
      ones: 'ff:ff:ff:ff:ff:ff'
    }
    const { log, said } = await askNetworkd({
      units: Object.fromEntries(
        Object.entries(macs).map(([name, mac]) => [
          `20-${name}.netdev`,
          `[NetDev]\nName=${name}\nKind=bridge\nMACAddress=${mac}\n`
        ])
      ),
      after:
        'for name in group null odd none ones; do echo "$name $(cat /sys/class/net/$name/address 2>/dev/null)"; done'
    })
    expect(log).toContain('group: Specified MAC address has the multicast bit set, clearing the bit.')
    expect(log).toContain('null: Specified MAC address is null, refusing.')
    expect(log).toContain('ones: Specified MAC address is broadcast, refusing.')
    expect(log).toMatch(
      /Not a valid hardware address, ignoring assignment: 1000:00:00:00:001|Failed to parse MACAddress=1000:00:00:00:001/
    )
    const made = new Map(said.split('\n').map(line => [line.split(' ')[0], line.split(' ')[1]]))
    expect(made.get('group')).toBe('00:00:00:00:00:01')
    expect([made.get('null'), made.get('ones')]).toEqual(['', ''])
    expect([made.get('odd'), made.get('none')]).toEqual([
      expect.stringMatching(/^..:/),
      expect.stringMatching(/^..:/)
    ])
  })
})

/** Whether a machine answers: a port that nobody listens on is refused. */
const REACH = `reach() { timeout 0.5 nsenter --net=/run/netns/$1 bash -c "echo > /dev/tcp/$2/9" 2>&1 | grep -q refused && echo "$1 $2 yes" || echo "$1 $2 no"; }
host() { timeout 0.5 bash -c "echo > /dev/tcp/$1/9" 2>&1 | grep -q refused && echo "host $1 yes" || echo "host $1 no"; }
quiet() { ip neigh flush all; for name in a b; do ip -n $name neigh flush all; done; }
`
const BRIDGED = `${REACH}
ip link add br0 type bridge; ip link set br0 up; ip addr add 10.0.0.1/24 dev br0; ip -6 addr add fd12::1/64 dev br0 nodad
for name in a b; do
  ip netns add $name; ip link add vb-$name type veth peer name eth0 netns $name
  ip link set vb-$name master br0 up; ip -n $name link set lo up; ip -n $name link set eth0 up
done
ip -n a addr add 10.0.0.2/24 dev eth0; ip -n b addr add 10.0.0.3/24 dev eth0
ip -n a -6 addr add fd12::2/64 dev eth0 nodad; ip -n b -6 addr add fd12::3/64 dev eth0 nodad
sleep 0.1
`
const yes = (...flows: readonly string[]): string => flows.map(flow => `${flow} yes\n`).join('')
const no = (...flows: readonly string[]): string => flows.map(flow => `${flow} no\n`).join('')

describe.concurrent('one MAC address twice', () => {
  const TOOLS = ['ip', 'nsenter', 'timeout']
  test.skipIf(absent(TOOLS))('on one bridge keeps the two apart', async () => {
    const { text } = await inNamespace(`${BRIDGED}
reach a 10.0.0.3; ip -n a link set eth0 address 02:00:00:00:00:01; ip -n b link set eth0 address 02:00:00:00:00:01; quiet
reach a 10.0.0.3; reach b fd12::2`)
    expect(text).toBe(yes('a 10.0.0.3') + no('a 10.0.0.3', 'b fd12::2'))
  })

  test.skipIf(absent(TOOLS))('as that of the bridge, or of a port, takes the container off', async () => {
    const { text } = await inNamespace(`${BRIDGED}
ip link set br0 address 02:00:00:00:00:01; ip -n a link set eth0 address 02:00:00:00:00:01; quiet
host 10.0.0.2; reach a 10.0.0.1; reach b 10.0.0.2
ip link add eth1 type veth peer name far; ip link set eth1 address 02:00:00:00:00:03; ip link set eth1 master br0 up
ip -n b link set eth0 address 02:00:00:00:00:03; quiet
host 10.0.0.3`)
    expect(text).toBe(no('host 10.0.0.2', 'a 10.0.0.1', 'b 10.0.0.2', 'host 10.0.0.3'))
  })

  test.skipIf(absent(TOOLS))('on two pairs does no harm', async () => {
    const { text } = await inNamespace(`${REACH}
echo 1 > /proc/sys/net/ipv4/ip_forward
for name in a b; do
  ip netns add $name; ip link add ve-$name type veth peer name eth0 netns $name; ip addr add 10.1.0.1 dev ve-$name
  ip link set ve-$name up; ip -n $name link set eth0 address 02:00:00:00:00:01; ip -n $name link set eth0 up
done
ip -n a addr add 10.1.0.2 dev eth0; ip -n b addr add 10.1.0.3 dev eth0
ip route add 10.1.0.2 dev ve-a; ip route add 10.1.0.3 dev ve-b
for name in a b; do ip -n $name route add 10.1.0.1 dev eth0; ip -n $name route add default via 10.1.0.1; done
host 10.1.0.2; host 10.1.0.3; reach a 10.1.0.3`)
    expect(text).toBe(yes('host 10.1.0.2', 'host 10.1.0.3', 'a 10.1.0.3'))
  })
})

describe.concurrent('macvlans', () => {
  const TOOLS = ['ip', 'nsenter', 'timeout']
  test.skipIf(absent(TOOLS))(
    'reach each other and the network, but not the interface they are on',
    async () => {
      const { text } = await inNamespace(`${REACH}
ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up
ip addr add 10.2.0.1/24 dev eth0; ip -6 addr add fd12::1/64 dev eth0 nodad
for name in a b; do
  ip netns add $name; ip link add link eth0 name mv-eth0 netns $name type macvlan mode bridge
  ip -n $name link set lo up; ip -n $name link set mv-eth0 up
done
ip -n a addr add 10.2.0.2/24 dev mv-eth0; ip -n b addr add 10.2.0.3/24 dev mv-eth0
ip -n a -6 addr add fd12::2/64 dev mv-eth0 nodad
sleep 0.1
host 10.2.0.2; host fd12::2; reach a 10.2.0.1; reach a fd12::1; reach a 10.2.0.3`)
      expect(text).toBe(no('host 10.2.0.2', 'host fd12::2', 'a 10.2.0.1', 'a fd12::1') + yes('a 10.2.0.3'))
    }
  )

  test.skipIf(absent(TOOLS))('on a bridge reach its containers, but not the host', async () => {
    const { text } = await inNamespace(`${BRIDGED}
ip netns add m; ip link add link br0 name mv-br0 netns m type macvlan mode bridge
ip -n m link set mv-br0 up; ip -n m addr add 10.0.0.9/24 dev mv-br0; sleep 0.1
host 10.0.0.9; reach m 10.0.0.1; reach m 10.0.0.2; reach a 10.0.0.9`)
    expect(text).toBe(no('host 10.0.0.9', 'm 10.0.0.1') + yes('m 10.0.0.2', 'a 10.0.0.9'))
  })
})

describe.concurrent('interfaces of the host', () => {
  const TOOLS = ['ip']
  const MACVLAN = 'type macvlan mode bridge'
  const cases: readonly (readonly [name: string, script: string, words: RegExp])[] = [
    ['a macvlan on a port of a bridge', `ip link add link x name m ${MACVLAN}`, /Device or resource busy/],
    ['a macvlan on lo', `ip link add link lo name m ${MACVLAN}`, /Invalid argument/],
    [
      'two macvlans of one name',
      `ip link add link y name m ${MACVLAN} && ip link add link y name m ${MACVLAN}`,
      /File exists/
    ],
    ['a bridge in another namespace', 'ip link set br0 netns other', /immutable|Invalid argument/],
    ['lo in another namespace', 'ip link set lo netns other', /immutable|Invalid argument/],
    [
      'a second eth0',
      'ip link set x nomaster; ip link set y name eth0; ip link set x name eth0',
      /File exists/
    ]
  ]
  const answer = questions(
    'ip link del x; ip link del br0; ip netns del other; ip netns add other; ip link add x type veth peer name y; ip link add br0 type bridge; ip link set x master br0',
    cases.map(([, script]) => script)
  )
  for (const [i, [name, , words]] of cases.entries())
    test.skipIf(absent(TOOLS))(`the kernel refuses ${name}`, async () => {
      expect(await answer(i)).toEqual(refusal(words))
    })

  test.skipIf(absent(TOOLS))('leave their bridge, addresses and routes when they move', async () => {
    const { text } = await inNamespace(`ip netns add other
ip link add x type veth peer name far; ip link set far up; ip link set x up
ip link add p type veth peer name q; ip link add br0 type bridge; ip link set p master br0
ip addr add 10.3.0.1/24 dev x; ip -6 addr add fd12::1/64 dev x nodad; ip route add default via 10.3.0.9
ip link set x netns other; ip link set p netns other
ip route; ip -o -n other addr; ip -o link show master br0; ip -n other -o link show p`)
    expect(text).not.toMatch(/10\.3\.0|fd12::|default via|master/)
    expect(text).toMatch(/ p@.*state DOWN/)
  })
})

const ask = async (...options: readonly string[]): Promise<Answer> =>
  inNamespace(`systemd-nspawn ${options.join(' ')} -D /nonexistent true`)

describe.concurrent('systemd-nspawn', () => {
  const TOOLS = ['ip', 'systemd-nspawn']
  const refused: readonly (readonly [options: readonly string[], words: RegExp])[] = [
    ...['--network-veth-extra=ve-x', '--network-bridge=br0', '--network-veth'].map(
      option =>
        [
          ['--network-namespace-path=/run/netns/x', option],
          /--network-namespace-path= cannot be combined with other network options/
        ] as const
    ),
    [['--private-users=65535'], /Failed to parse UID "65535"/],
    [['--private-users=4294901760'], /UID range cannot be empty or go beyond 4294967295/]
  ]
  for (const [options, words] of refused)
    test.skipIf(absent(TOOLS))(`refuses ${options.join(' ')}`, async () => {
      expect(await ask(...options)).toEqual(refusal(words))
    })

  const taken = [
    ['--network-namespace-path=/run/netns/x', '--private-network'],
    ['--private-users=1000'],
    ['--private-users=4294836224']
  ]
  for (const options of taken)
    test.skipIf(absent(TOOLS))(`takes ${options.join(' ')}`, async () => {
      expect((await ask(...options)).text).toMatch(/nonexistent/)
    })

  test('the names of long macvlans are those that it makes', () => {
    expect(shortIfname('mv-enx001122334455')).toBe('mv-enx00112qC_o')
    expect(shortIfname('mv-eno1')).toBe('mv-eno1')
  })
})

describe.concurrent('programs that wait for connections', () => {
  const TOOLS = ['ip']
  /** Binds in turn and prints the code of each failure. */
  const bind = (...binds: readonly string[]): string =>
    `'${process.execPath}' -e '
const [first, ...more] = ${JSON.stringify(binds)}
const listen = text => new Promise(done => {
  const [port, address] = text.split(" ")
  const server = require("net").createServer()
  server.on("error", error => done(error.code)).listen({ port: Number(port), host: address, ipv6Only: address === "::" }, () => done("bound"))
})
;(async () => { const said = []; for (const text of [first, ...more]) said.push(await listen(text)); console.log(said.join(" ")); process.exit() })()'`
  const HAVE =
    'ip link add x type bridge; ip addr add 10.4.0.1/24 dev x; ip -6 addr add fd12::1/64 dev x nodad; ip link set x up\n'

  test.skipIf(absent(TOOLS))('get only addresses of their machine', async () => {
    const { text } = await inNamespace(
      `${HAVE}${bind('80 10.4.0.1', '80 10.4.0.2', '80 fd12::1', '80 fd12::2', '81 127.0.0.9', '82 0.0.0.0')}
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind; ${bind('80 10.4.0.2')}`
    )
    expect(text).toBe('bound EADDRNOTAVAIL bound EADDRNOTAVAIL bound bound\nbound\n')
  })

  test.skipIf(absent(TOOLS))('have a port of any address to themselves', async () => {
    const { text } = await inNamespace(
      `${HAVE}${bind('80 0.0.0.0', '80 10.4.0.1', '80 fd12::1', '81 10.4.0.1', '81 127.0.0.1', '81 0.0.0.0', '82 ::', '82 fd12::1')}`
    )
    expect(text).toBe('bound EADDRINUSE bound bound bound EADDRINUSE bound EADDRINUSE\n')
  })
})
