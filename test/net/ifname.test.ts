import { spawnSync } from 'node:child_process'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hostIfname, IFNAME_MAX, ifnameFault, misspelling } from '../../src/net/ifname.ts'

/** What systemd-nspawn 252 and its source make of names: machine, ve-, vb-. */
const VECTORS = [
  ['containerA', 've-containerA', 'vb-containerA'],
  ['webserver', 've-webserver', 'vb-webserver'],
  ['abcdefghijkl', 've-abcdefghijkl', 'vb-abcdefghijkl'],
  ['abcdefghijklm', 've-abcdefghyhe5', 'vb-abcdefghgd3w'],
  ['averylongcontainername', 've-averylonWI9H', 'vb-averylonOVQG'],
  ['averylongcontainername2', 've-averylonN0Rj', 'vb-averylonZTSI'],
  ['my-postgres-database', 've-my-postgFVBV', 'vb-my-postgC6pu'],
  ['foobar-production-01', 've-foobar-porDh', 'vb-foobar-pTBFc'],
  ['foobar-production-02', 've-foobar-pjbao', 'vb-foobar-pq6vG'],
  ['a'.repeat(64), 've-aaaaaaaaVDBR', 'vb-aaaaaaaapOFe']
] as const

const inner = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-'.split(''))
const machine = fc
  .oneof(...[12, 61].map(maxLength => fc.string({ unit: inner, maxLength, size: 'max' })))
  .map(text => `a${text}z`)

describe("the name of the host's end", () => {
  test.each(VECTORS)('of %s', (machine, direct, bridged) => {
    expect([hostIfname(machine, false), hostIfname(machine, true)]).toEqual([direct, bridged])
  })

  test('fits into the kernel, and is the whole name where that fits', () => {
    fc.assert(
      fc.property(machine, fc.boolean(), (machine, bridged) => {
        const name = hostIfname(machine, bridged)
        const full = `${bridged ? 'vb' : 've'}-${machine}`
        expect(ifnameFault(name)).toBeUndefined()
        expect(name.length).toBe(Math.min(full.length, IFNAME_MAX))
        expect(full.startsWith(name.slice(0, 11))).toBe(true)
        expect(name === full).toBe(full.length <= IFNAME_MAX)
      })
    )
  })

  test('ends in the lower 24 bits of SipHash-2-4, calculated with big integers', () => {
    fc.assert(
      fc.property(machine, machine => {
        fc.pre(machine.length > 12)
        const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
        const hash = siphash(new TextEncoder().encode(`ve-${machine}`))
        const tail = [18n, 12n, 6n, 0n].map(shift => letters[Number((hash >> shift) & 63n)]).join('')
        expect(hostIfname(machine, false)).toBe(`ve-${machine.slice(0, 8)}${tail}`)
      }),
      { numRuns: 300 }
    )
  })
})

const word = (value: bigint): bigint => BigInt.asUintN(64, value)

/** SipHash-2-4 as its paper describes it, with systemd's key for interface names. */
const siphash = (data: Uint8Array): bigint => {
  const [k0, k1] = [0x514befa804a490e1n, 0xa2fc119f3ac3cc8cn]
  const rotate = (value: bigint, bits: bigint): bigint => word((value << bits) | (value >> (64n - bits)))
  let [a, b, c, d] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n
  ]
  const rounds = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      a = word(a + b)
      c = word(c + d)
      b = rotate(b, 13n) ^ a
      d = rotate(d, 16n) ^ c
      a = word(rotate(a, 32n) + d)
      c = word(c + b)
      b = rotate(b, 17n) ^ c
      d = rotate(d, 21n) ^ a
      c = rotate(c, 32n)
    }
  }
  const padded = new Uint8Array(Math.floor(data.length / 8) * 8 + 8)
  padded.set(data)
  padded[padded.length - 1] = data.length
  const view = new DataView(padded.buffer)
  for (let i = 0; i < padded.length; i += 8) {
    const block = view.getBigUint64(i, true)
    d ^= block
    rounds(2)
    a ^= block
  }
  c ^= 0xffn
  rounds(4)
  return a ^ b ^ c ^ d
}

const run = (command: string, ...args: readonly string[]): ReturnType<typeof spawnSync> =>
  spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 })

describe('systemd-nspawn itself', () => {
  // Each container lives in a network namespace of this script's own until the name of its interface is read.
  const script = `
    set -e
    mount -t tmpfs tmpfs /run
    ip link add br0 type bridge
    mkdir -p /run/root/usr
    for folder in bin lib lib64; do ln -s usr/$folder /run/root/$folder; done
    for name; do
      for network in --network-veth --network-bridge=br0; do
        systemd-nspawn -q --register=no --keep-unit -D /run/root --bind-ro=/usr -M "$name" $network \
          /bin/sleep 20 </dev/null >/run/log 2>&1 &
        made=
        for i in $(seq 100); do
          made=$(sed -n 's/^ *\\(v[eb]-[^:]*\\):.*/\\1/p' /proc/net/dev)
          test -n "$made" && break
          sleep 0.02
        done
        test -n "$made" || { cat /run/log >&2; exit 1; }
        echo "$name $made"
        kill $!
        wait $! || :
        ip link del "$made" 2>/dev/null || :
      done
    done`
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  /** Why nspawn cannot be asked here. */
  const obstacle = (): string | undefined => {
    if (run('systemd-nspawn', '--version').status !== 0) return 'systemd-nspawn is missing'
    if (process.getuid?.() !== 0) return 'systemd-nspawn needs root'
    if (run('ip', '-Version').status !== 0) return 'iproute2 is missing'
    const probe = run('unshare', ...namespaces, 'true')
    return probe.status === 0 ? undefined : `no namespaces here: ${String(probe.stderr).trim()}`
  }

  test('makes interfaces of the same names', context => {
    const reason = obstacle()
    if (reason !== undefined) {
      if ((process.env['CI'] ?? '') !== '' && reason.includes('missing')) throw new Error(reason)
      console.warn(`skipped, systemd-nspawn is not asked for names: ${reason}`)
      context.skip(reason)
    }
    const machines = [...VECTORS.map(([machine]) => machine), ...fc.sample(machine, 5)]
    const { status, stdout, stderr } = run('unshare', ...namespaces, 'sh', '-c', script, 'names', ...machines)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const expected = machines.flatMap(machine =>
      [false, true].map(bridged => `${machine} ${hostIfname(machine, bridged)}`)
    )
    expect(String(stdout).trim().split('\n')).toEqual(expected)
  })
})

describe('a name that the kernel or systemd refuses', () => {
  test.each([
    ['', 'it is empty'],
    ['a'.repeat(16), 'it has 16 bytes; the kernel takes at most 15'],
    ['ü'.repeat(8), 'it has 16 bytes; the kernel takes at most 15'],
    ['.', 'the kernel reserves it'],
    ['..', 'the kernel reserves it'],
    ['all', 'it is the name of a sysctl directory of all interfaces'],
    ['default', 'it is the name of a sysctl directory of all interfaces'],
    ['12', 'it is all digits, which systemd takes for an interface index'],
    ['br 0', 'it contains a space'],
    ['br/0', 'it contains "/"'],
    ['br:0', 'it contains ":"'],
    ['br%d', 'it contains "%"'],
    ['br\t0', 'it contains "\t"'],
    ['brü', 'it contains "ü"'],
    ['br😀', 'it contains "😀"'],
    ['br\u007f', 'it contains "\u007f"']
  ])('%j', (name, reason) => {
    expect(ifnameFault(name)).toBe(reason)
  })

  test.each([
    'br0',
    'a'.repeat(15),
    '...',
    '0x',
    '-',
    'br-apps',
    'br_0',
    'br.100',
    'vb-web',
    'eth0@x',
    '+',
    'ALL'
  ])('but not %s', name => {
    expect(ifnameFault(name)).toBeUndefined()
  })
})

describe('a slip', () => {
  test.each([
    'uplnk uplink',
    'uplnik uplink',
    'uplinkk uplink',
    'gests guests',
    'bakcup backup',
    'br-apss br-apps',
    'eht0 eth0',
    'ethh0 eth0',
    'etho eth0',
    'enp3so enp3s0',
    'enpls0 enp1s0',
    'epn3s0 enp3s0',
    'enps30 enp3s0',
    'Lan0 lan0',
    'brlan br-lan',
    'wlna0 wlan0',
    've-wbe ve-web',
    'databse database',
    'pulink uplink',
    'bridgex bridge',
    'br-lan brlan',
    'br--lan brlan'
  ])('is %s', names => {
    const [written = '', name = ''] = names.split(' ')
    expect(misspelling(written, ['other', name])).toBe(name)
  })

  test.each([
    'lan0 wan0',
    'lan wan',
    'lan-1 wan-1',
    'wan lan0',
    'eth-lan eth-wan',
    'lan0 wlan0',
    'lan vlan',
    'ethlan ethwlan',
    'wan0 wwan0',
    'vlan0 vxlan0',
    'eth0 veth0',
    'tap0 tun0',
    'br-in br-out',
    'up0 down0',
    'uplink downlink',
    'uplink uplink6',
    'eth0 eth1',
    'eth01 eth10',
    'enp1s0 enp2s0',
    'enp1s0 enp10s0',
    'enp1s0 eno1',
    'lan1 lan10',
    'eth0 eth0.30',
    'guest guests',
    'main man',
    'inner outer',
    'core score',
    'dmz dmz0',
    'backup bakxup',
    'backup baxcup',
    'backup bakcdp',
    'aab abb',
    'vpp vp',
    'aabbcd abcd',
    'main mainx',
    'uplnk-bakcup uplink-backup',
    'lan1234 lan11234',
    'lan0 lan0'
  ])('is not %s', names => {
    const [a = '', b = ''] = names.split(' ')
    expect([misspelling(a, [b]), misspelling(b, [a])]).toEqual([undefined, undefined])
  })
})
