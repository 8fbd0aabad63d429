import { describe, expect, test } from 'vitest'
import { absent, inNamespace, questions } from './judge.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'

// What the rules of IPv6, DNS and of overlaps with the outside claim about the kernel and networkd, asked of them.

describe.concurrent('IPv6 that is switched off on the host', () => {
  const OFF = 'for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done\n'
  const PAIR = `${OFF}ip netns add box; ip link add ve-x type veth peer name eth0 netns box
ip link set ve-x up; ip -n box link set eth0 up\n`

  test.skipIf(absent(['ip']))("refuses the address and the route of a pair's end", async () => {
    const { text } = await inNamespace(
      `${PAIR}ip -6 addr add fd12:3456:789a::1 dev ve-x; ip -6 route add fd12:3456:789a::2 dev ve-x`
    )
    expect(text).toMatch(/IPv6 is disabled on this device/)
    expect(text).toMatch(/IPv6 is disabled on nexthop device/)
  })

  test.skipIf(absent(['ip']))('leaves it on inside a new container', async () => {
    const { ok } = await inNamespace(
      `${PAIR}ip -n box -6 addr add fd12:3456:789a::2 dev eth0 && ip -n box -6 route add fd12:3456:789a::1 dev eth0`
    )
    expect(ok).toBe(true)
  })

  test.skipIf(withoutNetworkd())('is switched on again by networkd where it sets an address', async () => {
    const { addresses } = await askNetworkd({
      units: { '10-up.network': '[Match]\nName=up0\n[Network]\nAddress=fd12:3456:789a::1/64' },
      pairs: ['up0'],
      first: `${OFF}echo 1 > /proc/sys/net/ipv6/conf/up0/disable_ipv6`
    })
    expect(addresses['up0']).toEqual(['fd12:3456:789a::1/64'])
  })
})

/** One router advertisement with a prefix, sent by hand: `perl -e … IFNAME`. */
const ADVERTISE = `perl -e '
open my $f, "<", "/sys/class/net/$ARGV[0]/ifindex" or die; my $i = <$f>;
socket(my $s, 10, 3, 58) or die "socket $!";
setsockopt($s, 41, 18, pack("i", 255)) or die; setsockopt($s, 41, 17, pack("i", $i)) or die;
my $ra = pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0)
  . pack("CCCCNNN", 3, 4, 64, 0xc0, 86400, 14400, 0) . pack("n8", 0x2001, 0xdb8, 9, 0, 0, 0, 0, 0);
send($s, $ra, 0, pack("SnNn8L", 10, 0, 0, 0xff02, 0, 0, 0, 0, 0, 0, 1, $i)) or die "send $!";
'`

describe.concurrent('a router advertisement', () => {
  // A fresh uplink for each question, without the second that duplicate address detection takes.
  const RESET = `echo 0 > /proc/sys/net/ipv6/conf/all/forwarding
for file in all default; do echo 1 > /proc/sys/net/ipv6/conf/$file/accept_ra; done
ip link del up0; number=$(($(cat /run/number) + 2)); echo $number > /run/number
ip link add up0 index $number type veth peer name isp0 index $((number + 1000)) netns isp
ip -n isp link set isp0 addrgenmode none; ip -n isp link set isp0 up
ip -n isp -6 addr add fe80::99/64 dev isp0 nodad; ip link set up0 up; sleep 0.2`
  const FIRST = `ip netns add isp; echo 1000 > /run/number
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link add br0 type bridge; ip link set br0 up`
  const HEAR = `ip netns exec isp ${ADVERTISE} isp0; sleep 0.2; ip -6 route show default`
  const FORWARD = 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
  const cases: readonly (readonly [name: string, script: string, heard: boolean])[] = [
    ['heard by a host', HEAR, true],
    ['ignored by a router', `${FORWARD}; ${HEAR}`, false],
    [
      'forgotten by a host that becomes one',
      `${HEAR} >/dev/null; ${FORWARD}; ip -6 route show default`,
      false
    ],
    [
      'ignored with accept_ra=2 for all',
      `${FORWARD}; echo 2 > /proc/sys/net/ipv6/conf/all/accept_ra; ${HEAR}`,
      false
    ],
    [
      'heard with accept_ra=2 for the interface',
      `${FORWARD}; echo 2 > /proc/sys/net/ipv6/conf/up0/accept_ra; ${HEAR}`,
      true
    ],
    ['heard where only a bridge forwards', `echo 1 > /proc/sys/net/ipv6/conf/br0/forwarding; ${HEAR}`, true]
  ]
  const answer = questions(
    RESET,
    cases.map(([, script]) => script),
    FIRST
  )
  for (const [i, [name, , heard]] of cases.entries())
    test.skipIf(absent(['ip', 'perl']))(`is ${name}`, async () => {
      const { text } = await answer(i)
      expect(text.includes('default via fe80::99')).toBe(heard)
    })

  const units: readonly (readonly [name: string, lines: string, first: string, heard: boolean])[] = [
    ['heard by networkd, whatever sysctl says', '', FORWARD, true],
    ['ignored by networkd where it forwards itself', 'IPMasquerade=both', '', false],
    ['heard by networkd with IPv6AcceptRA=yes', 'IPMasquerade=both\nIPv6AcceptRA=yes', '', true]
  ]
  for (const [name, lines, first, heard] of units)
    test.skipIf(withoutNetworkd() || absent(['perl']))(`is ${name}`, async () => {
      const { routes } = await askNetworkd({
        units: { '10-up.network': `[Match]\nName=up0\n[Network]\nDHCP=ipv4\n${lines}` },
        pairs: ['up0'],
        first: `${first}\nip -n far -6 addr add fe80::99/64 dev far0 nodad`,
        seconds: 2,
        // A busy machine may need more than one to be ready for it.
        after: `for try in $(seq ${heard ? 40 : 3}); do ip netns exec far ${ADVERTISE} far0; sleep 0.25; ip -6 route | grep -q 'default via fe80::99' && break; done`
      })
      expect(routes.includes('default via fe80::99')).toBe(heard)
    })
})

test.skipIf(absent(['ip']))('a bridge with fc00::1/7 has a route for all private addresses', async () => {
  const { text } = await inNamespace(
    'ip link add br0 type bridge; ip link set br0 up; ip -6 addr add fc00::1/7 dev br0 nodad; ip -6 route show'
  )
  expect(text).toMatch(/^fc00::\/7 dev br0/m)
})

describe.concurrent('a pair with an address of the LAN', () => {
  // Port 9 is closed everywhere: who is reached refuses.
  const LAN = `ip netns add lan; ip netns add box
ip link add eth0 type veth peer name lan0 netns lan; ip link set eth0 up; ip -n lan link set lan0 up
ip addr add 192.168.1.5/24 dev eth0; ip -n lan addr add 192.168.1.9/24 dev lan0
ip link add ve-box type veth peer name eth0 netns box; ip link set ve-box up; ip -n box link set eth0 up
ip addr add 10.20.0.1 dev ve-box; ip route add 192.168.1.77 dev ve-box
ip -n box addr add 192.168.1.77 dev eth0; ip -n box route add 10.20.0.1 dev eth0; ip -n box route add default via 10.20.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
try() { nsenter --net=/run/netns/$1 timeout 1 bash -c "echo > /dev/tcp/$2/9" 2>&1 | grep -q refused && echo "$1 reaches $2"; }
`
  const TRY =
    'timeout 1 bash -c "echo > /dev/tcp/192.168.1.77/9" 2>&1; try lan 192.168.1.77; try box 192.168.1.9; true'

  test.skipIf(absent(['ip', 'nsenter']))('is reached by the host only', async () => {
    const { text } = await inNamespace(`${LAN}${TRY}`)
    expect(text).toContain('Connection refused')
    expect(text).not.toContain('reaches')
  })

  test.skipIf(absent(['ip', 'nsenter']))('is reached by all where the host answers for it', async () => {
    const { text } = await inNamespace(`${LAN}echo 1 > /proc/sys/net/ipv4/conf/eth0/proxy_arp; ${TRY}`)
    expect(text).toContain('lan reaches 192.168.1.77')
    expect(text).toContain('box reaches 192.168.1.9')
  })
})

test.skipIf(absent(['ip', 'perl']))(
  "a resolver on the host's loopback answers nobody in another namespace",
  async () => {
    const { text } = await inNamespace(`
echo "nameserver 127.0.0.53" > /run/resolv.conf; echo "hosts: files dns" > /run/nsswitch.conf
for file in resolv nsswitch; do mount --bind /run/$file.conf "$(readlink -f /etc/$file.conf)"; done
ip netns add box; ip -n box link set lo up
nsenter --net=/run/netns/box perl -MSocket=getaddrinfo -e 'my ($error) = getaddrinfo("example.org", 80); print "$error\\n"'`)
    expect(text).toMatch(/Temporary failure in name resolution/)
  }
)
