import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { absent, inNamespace, questions } from './judge.ts'

// What the rules say of firewalls and of the ways that answers take, asked of the kernel: packets are sent in namespaces
// in which the rules of NixOS are loaded (firewall-iptables.nix, firewall-nftables.nix).

/** The reverse path check of NixOS. */
const STRICT = 'fib saddr . mark . iif oif exists accept'
const LOOSE = 'fib saddr . mark oif exists accept'
const check = (rule: string): string =>
  `nft 'table inet rp { chain rpfilter { type filter hook prerouting priority mangle + 10; policy drop; ${rule}; }; }'`
const CHECK_IPTABLES =
  'for tool in iptables ip6tables; do $tool -w -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP; done'
const FILTER_FORWARD = `nft 'table inet nixos-fw {
  chain forward { type filter hook forward priority filter; policy drop; ct state vmap { invalid : drop, established : accept, related : accept, new : jump forward-allow, untracked : jump forward-allow }; }
  chain forward-allow { icmpv6 type != { router-renumbering, 139 } accept; ct status dnat accept; iifname { "ve-nat" } oifname "eth0" accept; }
}'`

/** Namespaces that are wired to the host, each with addresses of both families, and what asks whether one answers. */
const HELPERS = `
exec 2>&1
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
[ -e /proc/sys/net/bridge ] && for f in iptables ip6tables; do echo 0 > /proc/sys/net/bridge/bridge-nf-call-$f; done
# No waiting for the detection of duplicate addresses.
calm() { for at in all default; do echo 0 > /proc/sys/net/ipv6/conf/$at/accept_dad; done; }
calm
space() { ip netns add $1; ip -n $1 link set lo up; inside $1 bash -c "$(declare -f calm); calm"; }
inside() { local ns=$1; shift; nsenter --net=/run/netns/$ns "$@" || exit 1; }
nft() { command nft "$@" || exit 1; }
# wire HOSTNAME NAMESPACE IFNAME
wire() { ip link add $1 type veth peer name $3 netns $2; ip link set $1 up; ip -n $2 link set $3 up; }
put() { ip addr add $2 dev $1; }
give() { ip -n $1 addr add $3 dev $2; }
# connect NAMESPACE ADDRESS PORT: nobody listens anywhere, so that an answer is a refusal
connect() {
  case "$(nsenter --net=/run/netns/$1 timeout 0.3 bash -c "echo > /dev/tcp/$2/$3" 2>&1)" in *refused*) echo answered;; *) echo lost;; esac
}
# both NAMESPACE IPV4 IPV6 PORT
both() { { connect $1 $2 $4 & connect $1 $3 $4 & wait; } | sort | uniq -c | while read -r times what; do [ $times = 2 ] && echo $what || echo different; done; }
`

const ANSWERED = 'answered'
const LOST = 'lost'

describe.concurrent('the way back of a forwarded connection', () => {
  // lan (a switch) - eth0 [host] ve-web - eth0 [web]; web has two more interfaces: one to br0 of the host, one to lan.
  const FIRST = `${HELPERS}
for name in lan web vpn; do space $name; done
ip -n lan link add switch0 type bridge; ip -n lan link set switch0 up; give lan switch0 192.168.1.50/24; give lan switch0 fd01::50/64
wire eth0 lan port0; ip -n lan link set port0 master switch0; put eth0 192.168.1.5/24; put eth0 fd01::5/64
wire ve-web web eth0; put ve-web 10.2.0.1; put ve-web fd02::1; ip route add 10.2.0.2 dev ve-web; ip -6 route add fd02::2 dev ve-web
give web eth0 10.2.0.2; give web eth0 fd02::2; ip -n web route add 10.2.0.1 dev eth0; ip -n web -6 route add fd02::1 dev eth0
ip link add br0 type bridge; ip link set br0 up; put br0 10.3.0.1/24; put br0 fd03::1/64
wire side web eth1; ip link set side master br0; give web eth1 10.3.0.2/24; give web eth1 fd03::2/64
ip link add inner0 netns web type veth peer name outer0 netns vpn; ip -n web link set inner0 up; ip -n vpn link set outer0 up
give web inner0 10.8.0.2/24; give web inner0 fd08::2/64; give vpn outer0 10.8.0.1/24; give vpn outer0 fd08::1/64
ip link add up0 netns web type veth peer name port1 netns lan; ip -n web link set up0 up; ip -n lan link set port1 up master switch0
give web up0 192.168.2.60/24; give web up0 fd09::60/64; give lan switch0 192.168.2.1/24; give lan switch0 fd09::1/64
nft 'table ip n { chain p { type nat hook prerouting priority dstnat; fib daddr type local tcp dport 8080 dnat to 10.2.0.2:80; }; }'
nft 'table ip6 n { chain p { type nat hook prerouting priority dstnat; fib daddr type local tcp dport 8080 dnat to [fd02::2]:80; }; }'
default() { ip -n web route replace default via $1; ip -n web -6 route replace default via $2; }
tunnel() { for to in 0.0.0.0/1 128.0.0.0/1; do ip -n web route add $to via 10.8.0.1; done; for to in ::/1 8000::/1; do ip -n web -6 route add $to via fd08::1; done; }
clients() { both lan 192.168.1.5 fd01::5 8080; }
default 10.2.0.1 fd02::1; sleep 0.2`
  const RESET = `command nft delete table inet rp; inside web nft flush ruleset; command nft delete table inet masq
for tool in iptables ip6tables; do $tool -w -t mangle -F; done
for to in 0.0.0.0/1 128.0.0.0/1 192.168.1.0/24; do ip -n web route del $to; done; for to in ::/1 8000::/1 fd01::/64; do ip -n web -6 route del $to; done
default 10.2.0.1 fd02::1`
  const BACK = 'ip -n web route add 192.168.1.0/24 via 10.2.0.1; ip -n web -6 route add fd01::/64 via fd02::1'
  const cases: readonly (readonly [name: string, script: string, outcome: string])[] = [
    ['the default route by the same pair', '', ANSWERED],
    ['the same with a strict check', check(STRICT), ANSWERED],
    ['a tunnel that took the default route', 'tunnel', LOST],
    ['a tunnel, and a route back to the clients', `tunnel; ${BACK}`, ANSWERED],
    [
      'the same with a strict check in the container',
      `tunnel; ${BACK}; inside web ${check(STRICT)}`,
      ANSWERED
    ],
    [
      "a tunnel, and the host's address put into what it forwards",
      `tunnel; nft 'table inet masq { chain p { type nat hook postrouting priority srcnat; oifname "ve-web" masquerade; }; }'`,
      ANSWERED
    ],
    ['another interface to the host', 'default 10.3.0.1 fd03::1', ANSWERED],
    ['the same with a strict check', `default 10.3.0.1 fd03::1; ${check(STRICT)}`, LOST],
    ['the same with a strict check of iptables', `default 10.3.0.1 fd03::1; ${CHECK_IPTABLES}`, LOST],
    ['the same with a loose check', `default 10.3.0.1 fd03::1; ${check(LOOSE)}`, ANSWERED],
    [
      'the same with a strict check in the container',
      `default 10.3.0.1 fd03::1; inside web ${check(STRICT)}`,
      LOST
    ],
    ['an interface that leads past the host', 'default 192.168.2.1 fd09::1', LOST],
    [
      'an interface in the network of the clients',
      'give web up0 192.168.1.60/24; give web up0 fd01::60/64; sleep 0.2',
      LOST
    ]
  ]
  const answer = questions(
    RESET,
    cases.map(([, script]) => `${script}\nclients`),
    FIRST
  )
  for (const [i, [name, , outcome]] of cases.entries())
    test.skipIf(absent(['ip', 'nft', 'iptables', 'ip6tables']))(`${name}: ${outcome}`, async () => {
      expect((await answer(i)).text.trim().split('\n').at(-1)).toBe(outcome)
    })
})

describe.concurrent('the firewall of a host', () => {
  const FIRST = `${HELPERS}
for name in far web db nat box; do space $name; done
wire eth0 far eth0; put eth0 198.51.100.2/24; put eth0 2001:db8::2/64; give far eth0 198.51.100.1/24; give far eth0 2001:db8::1/64
ip -n far route add default via 198.51.100.2; ip -n far -6 route add default via 2001:db8::2
n=1
for name in web db nat; do
  wire ve-$name $name eth0; put ve-$name 10.2.$n.1/24; put ve-$name fd02:$n::1/64; give $name eth0 10.2.$n.2/24; give $name eth0 fd02:$n::2/64
  ip -n $name route add default via 10.2.$n.1; ip -n $name -6 route add default via fd02:$n::1
  n=$((n + 1))
done
ip link add br0 type bridge; ip link set br0 up; put br0 10.3.0.1/24; put br0 fd03::1/64
wire vb-box box eth0; ip link set vb-box master br0; give box eth0 10.3.0.2/24; give box eth0 fd03::2/64
ip -n box route add default via 10.3.0.1; ip -n box -6 route add default via fd03::1
open_nft() { nft "table inet fw { chain input { type filter hook input priority filter; policy drop; ct state established accept; icmpv6 type != 139 accept; $1; }; }"; }
open_iptables() { for tool in iptables ip6tables; do $tool -w -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; $tool -w -A INPUT -p tcp -i "$1" --dport 53 -j ACCEPT; [ $tool = ip6tables ] && $tool -w -A INPUT -p icmpv6 -j ACCEPT; $tool -w -A INPUT -j DROP; done; }
host() { both box 10.3.0.1 fd03::1 53; }
sleep 0.2`
  const RESET = 'command nft flush ruleset; for tool in iptables ip6tables; do $tool -w -F; done'
  const DNAT = `nft 'table inet n { chain p { type nat hook prerouting priority dstnat; iifname "eth0" tcp dport 8080 dnat ip to 10.2.1.2:80; iifname "eth0" tcp dport 8080 dnat ip6 to [fd02:1::2]:80; }; }'`
  const SELF = `nft 'table inet n { chain p { type nat hook prerouting priority dstnat; iifname "eth0" tcp dport 8080 dnat ip to 10.3.0.1:8000; iifname "eth0" tcp dport 8080 dnat ip6 to [fd03::1]:8000; }; }'`
  const OUT = `nft 'table inet m { chain p { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }'`
  const cases: readonly (readonly [name: string, script: string, outcome: string])[] = [
    ['nothing open for the bridge', 'open_nft "tcp dport 22 accept"; host', LOST],
    ['a port open for the bridge', 'open_nft "iifname br0 tcp dport 53 accept"; host', ANSWERED],
    ['a port open for a port of the bridge', 'open_nft "iifname vb-box tcp dport 53 accept"; host', LOST],
    ['iptables, the bridge', 'open_iptables br0; host', ANSWERED],
    ['iptables, a port of the bridge', 'open_iptables vb-box; host', LOST],
    [
      'an address of the host on another interface',
      'open_nft "iifname br0 tcp dport 53 accept"; both box 198.51.100.2 2001:db8::2 53',
      ANSWERED
    ],
    ['no filterForward: pair to pair', 'both web 10.2.2.2 fd02:2::2 80', ANSWERED],
    ['no filterForward: from outside to a pair', 'both far 10.2.1.2 fd02:1::2 80', ANSWERED],
    ['filterForward: pair to pair', `${FILTER_FORWARD}; both web 10.2.2.2 fd02:2::2 80`, LOST],
    ['filterForward: bridge to pair', `${FILTER_FORWARD}; both box 10.2.1.2 fd02:1::2 80`, LOST],
    ['filterForward: from outside to a pair', `${FILTER_FORWARD}; both far 10.2.1.2 fd02:1::2 80`, LOST],
    [
      'filterForward: a forward',
      `${FILTER_FORWARD}; ${DNAT}; both far 198.51.100.2 2001:db8::2 8080`,
      ANSWERED
    ],
    [
      'filterForward: masqueraded without a rule',
      `${FILTER_FORWARD}; ${OUT}; both web 198.51.100.1 2001:db8::1 80`,
      LOST
    ],
    [
      'filterForward: an internal interface of NAT',
      `${FILTER_FORWARD}; ${OUT}; both nat 198.51.100.1 2001:db8::1 80`,
      ANSWERED
    ],
    [
      'a forward to the host itself, the new port open',
      `${SELF}; open_nft "iifname eth0 tcp dport 8000 accept"; both far 198.51.100.2 2001:db8::2 8080`,
      ANSWERED
    ],
    [
      'a forward to the host itself, the old port open',
      `${SELF}; open_nft "iifname eth0 tcp dport 8080 accept"; both far 198.51.100.2 2001:db8::2 8080`,
      LOST
    ]
  ]
  const answer = questions(
    RESET,
    cases.map(([, script]) => script),
    FIRST
  )
  for (const [i, [name, , outcome]] of cases.entries())
    test.skipIf(absent(['ip', 'nft', 'iptables', 'ip6tables']))(`${name}: ${outcome}`, async () => {
      expect((await answer(i)).text.trim().split('\n').at(-1)).toBe(outcome)
    })
})

describe.concurrent('packets between two ports of a bridge, with br_netfilter', () => {
  const loaded = existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables')
  if (!loaded) process.stderr.write('judges: tests are skipped, br_netfilter is not loaded\n')
  const FIRST = `${HELPERS}
for name in a b; do space $name; done
ip link add br0 type bridge; ip link set br0 up
n=2
for name in a b; do wire vb-$name $name eth0; ip link set vb-$name master br0; give $name eth0 10.1.0.$n/24; give $name eth0 fd01::$n/64; n=$((n + 1)); done
wire eth0 b up0; put eth0 198.51.100.2/24; ip route add default via 198.51.100.1
filtered() { for f in iptables ip6tables; do echo 1 > /proc/sys/net/bridge/bridge-nf-call-$f; done; }
other() { both a 10.1.0.3 fd01::3 80; }
sleep 0.2`
  const RESET = `command nft flush ruleset; ip addr del 10.1.0.1/24 dev br0; ip addr del fd01::1/64 dev br0
for tool in iptables ip6tables; do $tool -w -t mangle -F; done
for f in iptables ip6tables; do echo 0 > /proc/sys/net/bridge/bridge-nf-call-$f; done`
  const OWN = 'put br0 10.1.0.1/24; put br0 fd01::1/64'
  const cases: readonly (readonly [name: string, script: string, outcome: string])[] = [
    ['no firewall', 'filtered; other', ANSWERED],
    ['a strict check, and no address on the bridge', `filtered; ${check(STRICT)}; other`, LOST],
    ['the same with iptables', `filtered; ${CHECK_IPTABLES}; other`, LOST],
    ['a strict check, and an address on the bridge', `filtered; ${OWN}; ${check(STRICT)}; other`, ANSWERED],
    ['a strict check, and the switches off', `${check(STRICT)}; other`, ANSWERED],
    ['filterForward', `filtered; ${OWN}; ${FILTER_FORWARD}; other`, LOST],
    ['filterForward, and the switches off', `${OWN}; ${FILTER_FORWARD}; other`, ANSWERED]
  ]
  const answer = questions(
    RESET,
    cases.map(([, script]) => script),
    FIRST
  )
  for (const [i, [name, , outcome]] of cases.entries())
    test.skipIf(!loaded || absent(['ip', 'nft', 'iptables', 'ip6tables']))(
      `${name}: ${outcome}`,
      async () => {
        expect((await answer(i)).text.trim().split('\n').at(-1)).toBe(outcome)
      }
    )
})

/** A root directory for systemd-nspawn that is made of the machine's own programs. */
const ROOTFS = `
root=/run/root; mkdir -p $root/{usr,etc,proc,sys,dev,run,tmp,var,root}
for folder in bin sbin lib lib64; do ln -s usr/$folder $root/$folder; done
touch $root/etc/os-release
nspawn() { timeout 10 systemd-nspawn -q --register=no --keep-unit --as-pid2 -D $root --bind-ro=/usr -M box "$@" </dev/null; }
`
/** systemd-nspawn starts for root only. */
const FOR_ROOT = process.getuid?.() !== 0

describe.concurrent('a container of systemd-nspawn', () => {
  const TOOLS = ['ip', 'nft', 'systemd-nspawn']

  test.skipIf(FOR_ROOT || absent(TOOLS))("loads no rules into the host's network by itself", async () => {
    const { text } = await inNamespace(`${ROOTFS}nspawn nft add table inet leak; nft list tables`)
    expect(text).toContain('Operation not permitted')
    expect(text).not.toMatch(/^table inet leak/m)
  })

  test.skipIf(FOR_ROOT || absent(TOOLS))('loads them there with CAP_NET_ADMIN', async () => {
    const { text } = await inNamespace(
      `${ROOTFS}nspawn --capability=CAP_NET_ADMIN nft add table inet leak; nft list tables`
    )
    expect(text).toMatch(/^table inet leak/m)
  })

  test.skipIf(FOR_ROOT || absent(TOOLS))('has ports forwarded to the address of any interface', async () => {
    const { text } = await inNamespace(`${ROOTFS}
nspawn --private-network --network-veth-extra=ve-side --port=tcp:8080:80 bash -c 'sleep 0.4; ip addr add 10.9.9.2/32 dev ve-side; ip -6 addr add fd09::2/64 dev ve-side nodad; ip link set ve-side up; sleep 1' &
for try in $(seq 50); do ip link set ve-side up 2>/dev/null && break; sleep 0.05; done
for try in $(seq 50); do nft list ruleset | grep -q 8080 && break; sleep 0.05; done; sleep 0.2; nft list ruleset`)
    expect(text).toContain('tcp . 8080 : 10.9.9.2 . 80')
    expect(text).toContain('tcp . 8080 : fd09::2 . 80')
  })

  test.skipIf(FOR_ROOT || absent(TOOLS))('has no ports forwarded before it has an address', async () => {
    const { text } = await inNamespace(`${ROOTFS}
nspawn --network-veth --port=tcp:8080:80 sleep 1.5 &
for try in $(seq 50); do ip link set ve-box up 2>/dev/null && break; sleep 0.05; done; sleep 0.5; ip link show ve-box; nft list ruleset`)
    expect(text).toContain('ve-box')
    expect(text).not.toContain('8080')
  })
})

describe.concurrent('interface names in the rules of nftables', () => {
  const take = (names: string): string =>
    `for name in ${names}; do nft -c "table inet t { chain c { type filter hook input priority 0; iifname $name tcp dport { 53 } accept; }; }" >/dev/null 2>&1 && echo "takes $name"; done; true`

  test.skipIf(absent(['nft']))('are no words of its language, and begin with a letter', async () => {
    const { text } = await inNamespace(
      take('monitor bridge log mark queue time type all map set rule table 10gnet')
    )
    expect(text).toBe('')
  })

  test.skipIf(absent(['nft']))('may contain such words', async () => {
    const { text } = await inNamespace(take('br-monitor monitor0 vlan dmz br0.10 eth0'))
    expect(text.match(/takes/g)).toHaveLength(6)
  })
})
