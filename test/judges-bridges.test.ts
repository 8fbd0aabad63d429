import { describe, expect, test } from 'vitest'
import { absent, inNamespace } from './judge.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'

// What the rules of bridges, gateways and names claim, asked of the kernel, systemd-networkd and systemd-nspawn.

/** What a connection to a port says on which nobody listens: refused is an answer. */
const TELL = `tell() { said=$(timeout "$3" nsenter --net=/run/netns/$1 bash -c "echo > /dev/tcp/$2/9" 2>&1 | grep -oE -m1 'refused|No route|unreachable'); echo "\${said:-silence}"; }
member() { ip netns add $1; ip link add vb-$1 type veth peer name eth0 netns $1; ip link set vb-$1 \${2:+master $2} up; ip -n $1 link set lo up; ip -n $1 link set eth0 up; }
`

describe.concurrent('routers', () => {
  const TOOLS = ['ip', 'nsenter']

  test.skipIf(absent(TOOLS))(
    'a pair of link-local addresses works, is routed, and takes a default route',
    async () => {
      const { text } = await inNamespace(`${TELL}
member c ''; member w ''
ip addr add 169.254.0.1/32 dev vb-c; ip route add 169.254.0.2 dev vb-c
ip -n c addr add 169.254.0.2/32 dev eth0; ip -n c route add 169.254.0.1 dev eth0; ip -n c route add default via 169.254.0.1
ip addr add 10.9.0.1/24 dev vb-w; ip -n w addr add 10.9.0.2/24 dev eth0; ip -n w route add default via 10.9.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward; sleep 0.3
tell c 169.254.0.1 1; tell c 10.9.0.2 1; tell w 169.254.0.2 1`)
      expect(text.trim().split('\n')).toEqual(['refused', 'refused', 'refused'])
    }
  )

  test.skipIf(absent(TOOLS))('the address of another bridge is no router', async () => {
    const { text } = await inNamespace(`${TELL}
for bridge in br1 br2; do ip link add $bridge type bridge; ip link set $bridge up; done
ip addr add 10.5.5.1/24 dev br2
member a br1; ip -n a addr add 10.5.5.7/24 dev eth0; ip -n a ntable change name arp_cache dev eth0 retrans 100; sleep 0.3
for filter in 2 0; do
  for name in all br1 br2; do echo $filter > /proc/sys/net/ipv4/conf/$name/rp_filter; done
  ip -n a neigh flush all; tell a 10.5.5.1 1
done`)
    expect(text.trim().split('\n')).toEqual(['No route', 'silence'])
  })
})

describe.concurrent('networkd', () => {
  test.skipIf(withoutNetworkd())(
    'makes what stands on a parent only when the parent names it, knows veth as a kind, and serves from a fixed address',
    async () => {
      const macvlan = (name: string): string =>
        `[NetDev]\nName=${name}\nKind=macvlan\n[MACVLAN]\nMode=bridge\n`
      const { files, addresses, log } = await askNetworkd({
        units: {
          '10-lost.netdev': macvlan('lost'),
          '10-kept.netdev': macvlan('kept'),
          '05-pairs.network': '[Match]\nType=veth\n[Network]\nLinkLocalAddressing=no\n',
          '06-pairs.network': '[Match]\nName=one\nKind=ether\n[Network]\nLinkLocalAddressing=no\n',
          '07-pairs.network': '[Match]\nName=one\nKind=veth\nType=ether\n[Network]\nLinkLocalAddressing=no\n',
          '20-two.network':
            '[Match]\nName=two\n[Network]\nMACVLAN=kept\nLinkLocalAddressing=no\nDHCPServer=yes\n'
        },
        pairs: ['one', 'two']
      })
      expect([files['one'], files['two']]).toEqual(['07-pairs.network', '20-two.network'])
      expect(Object.keys(addresses)).toContain('kept')
      expect(Object.keys(addresses)).not.toContain('lost')
      expect(log).not.toContain('lost')
      expect(log).toContain(
        'DHCPServer= is enabled, but no static address configured. Disabling DHCP server.'
      )
    }
  )
})

describe.concurrent('device types', () => {
  test.skipIf(absent(['ip', 'mount']))('pairs and macvlans have none, bridges have', async () => {
    const { text } = await inNamespace(`mount -t sysfs sysfs /sys
ip link add pair type veth peer name other; ip link add br0 type bridge; ip link add link pair name shim type macvlan
for name in pair br0 shim; do echo "$name:$(grep DEVTYPE /sys/class/net/$name/uevent)"; done`)
    expect(text.trim().split('\n')).toEqual(['pair:', 'br0:DEVTYPE=bridge', 'shim:'])
  })
})
