import { describe, expect, test } from 'vitest'
import { absent, inNamespace, questions } from './judge.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'

// What the rules about bridges, their ports and who manages them claim of the kernel and of systemd-networkd.

/** The network of one container as NixOS's own scripts set it up on the host. */
const PAIR = `ip netns add web
ip link add ve-web index 200 type veth peer name eth0 index 600 netns web; ip -n web link set eth0 up
ip link set ve-web up; ip addr add 192.168.100.10 dev ve-web; ip route add 192.168.100.11 dev ve-web`

/** An extra veth with hostBridge. */
const EXTRA = `ip netns add box; ip link add br0 type bridge; ip link set br0 up
ip link add ve-lan index 201 type veth peer name ve-lan index 601 netns box; ip -n box link set ve-lan up
ip link set dev ve-lan master br0 up`

/** networkd once more, as after an update of systemd. */
const RESTART = `program=$(readlink /proc/$!/exe); kill $!; sleep 0.3
env -i SYSTEMD_LOG_TARGET=console $program 2>/dev/null & sleep 1`

const STATE = 'ip -o link show ve-lan; ip -o addr show dev ve-web; ip route show dev ve-web'

const OWN = {
  '10-ve.network': '[Match]\nName=ve-*\nKind=veth\n[Link]\nUnmanaged=yes'
}

const BRIDGE = { '20-br0.netdev': '[NetDev]\nName=br0\nKind=bridge\nMACAddress=02:00:00:00:00:77' }

const br0 = (...lines: string[]): string => ['[Match]', 'Name=br0', ...lines].join('\n')

const ADDRESSES = ['[Network]', 'Address=10.1.0.1/24', 'Address=fd12:3456:789a::1/64', 'IPv6AcceptRA=no']

describe.concurrent('systemd-networkd', () => {
  test.skipIf(withoutNetworkd())(
    'takes ve-* by the file of systemd, and an extra veth off its bridge',
    async () => {
      const { files, masters, said } = await askNetworkd({
        units: {},
        shipped: true,
        after: `${PAIR}\n${EXTRA}\nsleep 1; cat /proc/sys/net/ipv4/ip_forward; ip -o link show ve-lan\n${RESTART}\n${STATE}`
      })
      expect(files).toMatchObject({
        've-web': '80-container-ve.network',
        've-lan': '80-container-ve.network'
      })
      expect(said).toMatch(/^1\n.* master br0 /)
      expect(masters['ve-lan']).toBeUndefined()
    }
  )

  test.skipIf(withoutNetworkd())('leaves them alone with a file before it', async () => {
    const { states, masters, addresses, routes } = await askNetworkd({
      units: OWN,
      shipped: true,
      after: `${PAIR}\n${EXTRA}\nsleep 0.5\n${RESTART}`
    })
    expect(states).toMatchObject({ 've-web': 'unmanaged', 've-lan': 'unmanaged' })
    expect(addresses['ve-web']).toEqual(['192.168.100.10/32'])
    expect(routes).toContain('192.168.100.11 dev ve-web')
    expect(masters['ve-lan']).toBe('br0')
  })

  test.skipIf(withoutNetworkd())('sets the addresses of a bridge when it has a carrier', async () => {
    const network = br0(...ADDRESSES)
    const { addresses, states } = await askNetworkd({ units: { ...BRIDGE, '40-br0.network': network } })
    expect(addresses['br0']).toEqual([])
    expect(states['br0']).toBe('configuring')
    const early = await askNetworkd({
      units: { ...BRIDGE, '40-br0.network': `${network}\nConfigureWithoutCarrier=yes` }
    })
    expect(early.addresses['br0']).toEqual(['10.1.0.1/24', 'fd12:3456:789a::1/64'])
  })

  test.skipIf(withoutNetworkd())('is waited for while a bridge has no carrier', async () => {
    const WAIT = 'wait() { "$(readlink /proc/$!/exe)-wait-online" -q --timeout=1 "$@" 2>/dev/null; echo $?; }'
    const uplink =
      '[Match]\nName=eth0\n[Network]\nAddress=198.51.100.2/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no'
    const ADDRESS4 = ADDRESSES.filter(line => !line.includes('fd12'))
    const [plain, optional, early, tentative, alone] = await Promise.all([
      askNetworkd({
        units: { ...BRIDGE, '10-eth0.network': uplink, '40-br0.network': br0(...ADDRESSES) },
        pairs: ['eth0'],
        after: `${WAIT}\nwait; wait --any; wait --ignore=br0`
      }),
      askNetworkd({
        units: {
          ...BRIDGE,
          '10-eth0.network': uplink,
          '40-br0.network': br0('[Link]', 'RequiredForOnline=no', ...ADDRESSES)
        },
        pairs: ['eth0'],
        after: `${WAIT}\nwait`
      }),
      askNetworkd({
        units: {
          ...BRIDGE,
          '10-eth0.network': uplink,
          '40-br0.network': br0(...ADDRESS4, 'ConfigureWithoutCarrier=yes')
        },
        pairs: ['eth0'],
        after: `${WAIT}\nwait`
      }),
      askNetworkd({
        units: {
          ...BRIDGE,
          '10-eth0.network': uplink,
          '40-br0.network': br0(...ADDRESSES, 'ConfigureWithoutCarrier=yes')
        },
        pairs: ['eth0'],
        seconds: 2,
        after: `${WAIT}\nwait`
      }),
      askNetworkd({
        units: { ...BRIDGE, '40-br0.network': br0('[Link]', 'RequiredForOnline=no', ...ADDRESSES) },
        after: `${WAIT}\nwait`
      })
    ])
    expect(plain.said).toBe('1\n0\n0\n')
    expect(optional.said).toBe('0\n')
    expect(early.said).toBe('0\n')
    expect(tentative.said).toBe('1\n')
    expect(alone.said).toBe('1\n')
  })

  test.skipIf(withoutNetworkd())(
    'keeps its address, and nothing else, on a bridge that a script makes again',
    async () => {
      const { addresses, said, masters } = await askNetworkd({
        units: { ...BRIDGE, '40-br0.network': `${br0(...ADDRESSES)}\nConfigureWithoutCarrier=yes` },
        first: 'ip link add vb-web type veth peer name x; ip link set vb-web up; ip link set x up',
        after: `ip link set vb-web master br0; ip link add br0 type bridge; cat /sys/class/net/br0/address
ip link del br0; ip link add br0 type bridge; ip link set br0 up; sleep 0.7; cat /sys/class/net/br0/address`
      })
      expect(said).toMatch(/File exists\n02:00:00:00:00:77\n(?!02:00:00:00:00:77)/)
      expect(addresses['br0']).toContain('10.1.0.1/24')
      expect(masters['vb-web']).toBeUndefined()
    }
  )

  test.skipIf(withoutNetworkd())(
    'switches forwarding on for the whole host when it masquerades',
    async () => {
      const { said } = await askNetworkd({
        units: {
          ...BRIDGE,
          '40-br0.network': br0(...ADDRESSES, 'IPMasquerade=both', 'ConfigureWithoutCarrier=yes')
        },
        pairs: ['eth0'],
        first: 'echo 0 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv6/conf/all/forwarding',
        after: 'cat /proc/sys/net/ipv4/conf/eth0/forwarding /proc/sys/net/ipv6/conf/all/forwarding'
      })
      expect(said).toBe('1\n1\n')
    }
  )

  test.skipIf(withoutNetworkd())('sets an address on the port of a bridge without a word', async () => {
    const { addresses, masters, log } = await askNetworkd({
      units: {
        ...BRIDGE,
        '30-eth0.network': '[Match]\nName=eth0\n[Network]\nBridge=br0\nAddress=10.7.0.2/24',
        '40-br0.network': br0('[Network]', 'IPv6AcceptRA=no')
      },
      pairs: ['eth0'],
      after: 'sleep 0.5'
    })
    expect(addresses['eth0']).toEqual(['10.7.0.2/24'])
    expect(masters['eth0']).toBe('br0')
    expect(log).not.toMatch(/30-eth0.network:/)
  })

  test.skipIf(withoutNetworkd())(
    'removes what others have set on an interface, from 257 on',
    async ({ skip }) => {
      const { addresses, routes, said } = await askNetworkd({
        units: { '40-eth0.network': '[Match]\nName=eth0\n[Network]\nDHCP=no' },
        pairs: ['eth0'],
        first: 'ip addr add 192.168.100.2/24 dev eth0; ip route add default via 192.168.100.1',
        after: '"$(readlink /proc/$!/exe)" --version'
      })
      const version = Number(/^systemd (\d+)/.exec(said)?.[1])
      skip(version > 252 && version < 257, 'nobody has looked at these versions')
      expect(addresses['eth0']).toEqual(version >= 257 ? [] : ['192.168.100.2/24'])
      expect(routes.includes('default via 192.168.100.1')).toBe(version < 257)
    }
  )
})

/** A container behind a bridge, and a host behind an uplink. */
const ROUTER = `for name in c u; do ip netns add $name; done
ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0; ip -6 addr add fd01::1/64 dev br0 nodad
ip link add vb-c type veth peer name eth0 netns c; ip link set vb-c master br0 up
ip link add eth0 type veth peer name eth0 netns u; ip link set eth0 up; ip addr add 10.2.0.1/24 dev eth0; ip -6 addr add fd02::1/64 dev eth0 nodad
for end in c/1 u/2; do n=\${end%/*}; i=\${end#*/}
ip -n $n link set eth0 up; ip -n $n addr add 10.$i.0.2/24 dev eth0; ip -n $n -6 addr add fd0$i::2/64 dev eth0 nodad
ip -n $n route add default via 10.$i.0.1; ip -n $n -6 route add default via fd0$i::1; done
sleep 0.3
set_flags() { echo $2 > /proc/sys/net/ipv4/conf/$1/forwarding; echo $2 > /proc/sys/net/ipv6/conf/$1/forwarding; }
count() { awk '/^Ip: [0-9]/ { printf "%s ", $7 }' /proc/net/snmp; awk '/Ip6OutForwDatagrams/ { print $2 }' /proc/net/snmp6; }
send() { for to in 10.2.0.2 fd02::2; do nsenter --net=/run/netns/c bash -c "echo > /dev/udp/$to/9"; done; sleep 0.1; count; }
`

describe.concurrent('the kernel', () => {
  const TOOLS = ['ip', 'nsenter']

  test.skipIf(absent([...TOOLS, 'awk']))(
    'forwards IPv4 by interface and IPv6 by the flag of all',
    async () => {
      const { text } = await inNamespace(
        `${ROUTER}set_flags all 1; send; set_flags br0 0; send; set_flags all 0; set_flags br0 1; send`
      )
      const counts = text.trim().split('\n').slice(-3)
      const [all, withoutBridge, bridgeOnly] = counts.map(line => line.split(' ').map(Number))
      expect([all?.[0], all?.[1]].every(count => (count ?? 0) > 0)).toBe(true)
      expect([withoutBridge?.[0], withoutBridge?.[1]]).toEqual([all?.[0], (all?.[1] ?? 0) + 1])
      expect(bridgeOnly?.[1]).toBe(withoutBridge?.[1])
    }
  )

  test.skipIf(absent(TOOLS))('finds no neighbour from an address on a port of a bridge', async () => {
    const { text } = await inNamespace(`ip netns add far; ip link add eth0 type veth peer name eth0 netns far
ip -n far link set eth0 up; ip -n far addr add 10.7.0.1/24 dev eth0
ip link add br0 type bridge; ip link set br0 up; ip link set eth0 up; ip addr add 10.7.0.2/24 dev eth0
echo > /dev/udp/10.7.0.1/9; sleep 0.2; ip neigh show dev eth0; ip neigh flush dev eth0
ip link set eth0 master br0; echo > /dev/udp/10.7.0.1/9; sleep 0.3; ip neigh show dev eth0`)
    expect(text).toMatch(/10\.7\.0\.1 lladdr .*\n(?:.*\n)*10\.7\.0\.1 +(?:INCOMPLETE|FAILED)/)
  })

  const answer = questions(
    'for name in br0 br1 br2 eth0; do ip link del $name; done; ip link add eth0 type veth peer name peer; for name in br0 br1; do ip link add $name type bridge; done',
    [
      'ip link set eth0 master br0; ip link set eth0 master br1; ip -o link show eth0',
      'ip link set br1 master br0',
      'ip link set lo master br0',
      'ip link add br2 type bridge stp_state 1 forward_delay 100; ip link set br2 up; ip link set eth0 up; ip link set peer up; ip link set eth0 master br2; sleep 0.1; bridge link show dev eth0; ip -d link show br2',
      'ip link add link eth0 name v1 type vlan id 7 && ! ip link add link eth0 name v2 type vlan id 7'
    ]
  )

  test.skipIf(absent(TOOLS))('moves a port to the bridge that asks last', async () => {
    expect((await answer(0)).text).toContain('master br1')
  })

  test.skipIf(absent(TOOLS))('refuses a bridge and lo as ports', async () => {
    expect(await answer(1)).toEqual({
      ok: false,
      text: expect.stringContaining('Can not enslave a bridge to a bridge')
    })
    expect(await answer(2)).toEqual({ ok: false, text: expect.stringContaining('Invalid argument') })
  })

  test.skipIf(absent([...TOOLS, 'bridge']))(
    'lets a port with STP listen first, for two seconds at least',
    async () => {
      const { text } = await answer(3)
      expect(text).toContain('state listening')
      expect(text).toMatch(/forward_delay (?:200|1500) /)
    }
  )

  test.skipIf(absent(TOOLS))('refuses a second VLAN of one number', async ({ skip }) => {
    const { ok, text } = await answer(4)
    skip(text.includes('Unknown device type'), 'this kernel has no VLANs')
    expect({ ok, text }).toEqual({ ok: true, text: expect.stringMatching(/already exists|File exists/) })
  })
})
