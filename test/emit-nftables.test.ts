import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { nameFault, table } from '../src/emit/print/nft.ts'
import { emitted, goldens, planOf } from './golden.ts'
import { type Answer, absent, inNamespace, questions } from './judge.ts'

// The generated table under the real nft, and with packets: a server answers with its name, its port, and the address
// that it is asked from, so that what is translated is seen at the other end.

const rulesOf = async (topology: string): Promise<string> => {
  const { files, refused } = emitted(await planOf(topology), 'nftables')
  expect(refused).toEqual([])
  expect(Object.keys(files)).toEqual(['netplan.nft'])
  return files['netplan.nft'] ?? ''
}

/** The same for many; one that is refused fails by itself, not for the others. */
const allRules = async (topologies: readonly string[]): Promise<readonly string[]> =>
  Promise.all(
    topologies.map(async topology => rulesOf(topology).catch((error: unknown) => `${String(error)}\n`))
  )

const refusalsOf = async (topology: string): Promise<readonly string[]> =>
  emitted(await planOf(topology), 'nftables').refused

/** bash that loads a ruleset. */
const load = (rules: string): string => `nft -f - <<'RULES'\n${rules}RULES`

// Networks

const CONTAINERS = `
bridges:
  br0: { address: [192.168.100.1/24, "fd12:3456:1::1/64"] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.100.2/24
    localAddress6: "fd12:3456:1::2/64"
    defaultGateway: { address: 192.168.100.1, interface: eth0 }
    defaultGateway6: { address: "fd12:3456:1::1", interface: eth0 }
    firewall: { enable: false }
  db:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.100.3/24
    localAddress6: "fd12:3456:1::3/64"
    defaultGateway: { address: 192.168.100.1, interface: eth0 }
    defaultGateway6: { address: "fd12:3456:1::1", interface: eth0 }
    firewall: { enable: false }
  box:
    privateNetwork: true
    hostAddress: 10.2.0.1
    localAddress: 10.2.0.2
    hostAddress6: "fd12:3456:2::1"
    localAddress6: "fd12:3456:2::2"
    firewall: { enable: false }
  averyverylongcontainername:
    privateNetwork: true
    hostAddress: 10.3.0.1
    localAddress: 10.3.0.2
    hostAddress6: "fd12:3456:3::1"
    localAddress6: "fd12:3456:3::2"
    internet: false
    firewall: { enable: false }
`

/** A host with an uplink, two containers on a bridge, and two without one. */
const network = (nat: string, firewall = 'backend: nftables'): string => `version: 1
host:
  interfaces:
    eth0: { address: [198.51.100.2/24, 198.51.100.5/24, "2001:db8:1::2/64", "2001:db8:1::5/64"] }
  defaultGateway: { address: 198.51.100.1, interface: eth0 }
  defaultGateway6: { address: "2001:db8:1::1", interface: eth0 }
  firewall: { ${firewall} }
nat:
  enable: true
  externalInterface: eth0
${nat}${CONTAINERS}`

/**
 * The same network as the kernel has it. `far` is the next machine outside; it has a route to the container that NAT does
 * not know, so that packets come back to it which nobody translates. The container with the long name is `long` here.
 */
const WIRES = `
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
for tool in ip ip6; do echo 0 > /proc/sys/net/bridge/bridge-nf-call-\${tool}tables; done 2>/dev/null
for name in far web db box long; do ip netns add $name; ip -n $name link set lo up; done
ip link add eth0 index 101 type veth peer name eth0 index 201 netns far; ip link set eth0 up; ip -n far link set eth0 up
for address in 198.51.100.2/24 198.51.100.5/24; do ip addr add $address dev eth0; done
ip addr add 2001:db8:1::2/64 dev eth0 nodad; ip addr add 2001:db8:1::5/64 dev eth0 nodad preferred_lft 0
ip -n far addr add 198.51.100.1/24 dev eth0; ip -n far addr add 2001:db8:1::1/64 dev eth0 nodad
ip route add default via 198.51.100.1; ip -6 route add default via 2001:db8:1::1
for route in 10.3.0.2 192.168.100.0/24; do ip -n far route add $route via 198.51.100.2; done
for route in fd12:3456:3::2 fd12:3456:1::/64; do ip -n far -6 route add $route via 2001:db8:1::2; done
ip link add br0 type bridge forward_delay 0; ip link set br0 up
ip addr add 192.168.100.1/24 dev br0; ip addr add fd12:3456:1::1/64 dev br0 nodad
member() {
  ip link add vb-$1 index $2 type veth peer name eth0 index $(($2 + 100)) netns $1; ip link set vb-$1 master br0 up
  ip -n $1 link set eth0 up; ip -n $1 addr add 192.168.100.$3/24 dev eth0; ip -n $1 addr add fd12:3456:1::$3/64 dev eth0 nodad
  ip -n $1 route add default via 192.168.100.1; ip -n $1 -6 route add default via fd12:3456:1::1
}
pair() {
  ip link add $2 index $3 type veth peer name eth0 index $(($3 + 100)) netns $1; ip link set $2 up; ip -n $1 link set eth0 up
  ip addr add 10.$4.0.1 dev $2; ip addr add fd12:3456:$4::1 dev $2 nodad
  ip route add 10.$4.0.2 dev $2; ip -6 route add fd12:3456:$4::2 dev $2
  ip -n $1 addr add 10.$4.0.2 dev eth0; ip -n $1 addr add fd12:3456:$4::2 dev eth0 nodad
  ip -n $1 route add 10.$4.0.1 dev eth0; ip -n $1 route add default via 10.$4.0.1
  ip -n $1 -6 route add fd12:3456:$4::1 dev eth0; ip -n $1 -6 route add default via fd12:3456:$4::1
}
member web 110 2; member db 111 3; pair box ve-box 112 2; pair long ve-averyverDxYq 113 3
cat > /run/server.js <<'SERVER'
const [name, ...ports] = process.argv.slice(2)
const plain = address => address.replace('::ffff:', '')
for (const port of ports) {
  require('net').createServer(socket => {
    socket.on('error', () => {})
    socket.end(name + ':' + port + ' sees ' + plain(socket.remoteAddress) + '\\n')
  }).listen({ host: '::', port })
  const udp = require('dgram').createSocket('udp6')
  udp.on('message', (_, { address, port: from }) => udp.send(name + ':' + port + ' sees ' + plain(address) + '\\n', from, address))
  udp.bind({ port })
}
require('net').createServer(socket => socket.end()).listen(1)
SERVER
cat > /run/echo.pl <<'ECHO'
use Socket qw(:DEFAULT :addrinfo);
my $six = $ARGV[0] =~ /:/;
my ($error, $to) = getaddrinfo($ARGV[0], '', { flags => AI_NUMERICHOST, socktype => SOCK_RAW });
socket(my $raw, $six ? AF_INET6 : AF_INET, SOCK_RAW, $six ? 58 : 1) or die;
# An id of its own makes it a connection of its own. The kernel fills in the checksum of ICMPv6 only.
my $id = $$ & 0x7fff;
send($raw, pack('CCnnn', $six ? 128 : 8, 0, $six ? 0 : 0xffff - 0x800 - $id, $id, 0), 0, $to->{addr}) or die;
vec(my $wanted = '', fileno($raw), 1) = 1;
while (select(my $ready = $wanted, undef, undef, 0.5)) {
  recv($raw, my $packet, 1500, 0);
  if (unpack('C', substr($packet, $six ? 0 : 20)) == ($six ? 129 : 0)) { print "an echo\\n"; exit }
}
print "no echo\\n";
ECHO
for name in far web db box long; do nsenter --net=/run/netns/$name '${process.execPath}' /run/server.js $name 22 80 443 8000 8001 8003 9000 & done
'${process.execPath}' /run/server.js host 22 80 8080 &
for name in far web db box long; do
  for try in $(seq 100); do nsenter --net=/run/netns/$name bash -c 'echo > /dev/tcp/127.0.0.1/1' 2>/dev/null && break; sleep 0.05; done
done
for try in $(seq 100); do (echo > /dev/tcp/127.0.0.1/1) 2>/dev/null && break; sleep 0.05; done
at() { if [ $1 = host ]; then shift; "$@"; else local name=$1; shift; nsenter --net=/run/netns/$name "$@"; fi; }
tcp() { echo "$1 to $2 $3: $(at $1 timeout 0.7 bash -c 'exec 3<>/dev/tcp/$0/$1 && head -n 1 <&3' $2 $3 2>/dev/null || echo nothing)"; }
ping() { echo "$1 to $2: $(at $1 perl /run/echo.pl $2)"; }
udp() { echo "$1 to $2 $3/udp: $(at $1 timeout 0.7 bash -c 'exec 3<>/dev/udp/$0/$1 && echo >&3 && head -n 1 <&3' $2 $3 2>/dev/null || echo nothing)"; }
`

const RESET = `nft flush ruleset; for tool in iptables ip6tables; do for table in nat filter mangle; do $tool -w -t $table -F; done; $tool -w -P FORWARD ACCEPT; done; conntrack -F 2>/dev/null`

const TOOLS = ['ip', 'nft', 'nsenter', 'iptables', 'ip6tables', 'perl']

interface Case {
  readonly name: string
  readonly topology: string
  /** What is asked, and who answers what. */
  readonly asks: string
  readonly answers: readonly string[]
  /** Rules as NixOS's iptables module makes them of the same topology: who answers is the same. */
  readonly nixos?: string
}

const MASQUERADE = `  enableIPv6: true
  internalInterfaces: [br0, ve-box]
`

const FORWARDS = `${MASQUERADE}  forwardPorts:
    - { sourcePort: 8080, destination: "192.168.100.2:80" }
    - { sourcePort: 8081, destination: "10.2.0.2:443" }
    - { sourcePort: "8000:8003", destination: "192.168.100.2:8000-8003" }
    - { sourcePort: "8000:8003", proto: udp, destination: "192.168.100.3:8000-8003" }
    - { sourcePort: "7000:7010", destination: "192.168.100.3:9000" }
    - { sourcePort: 8080, destination: "[fd12:3456:1::2]:80" }
    - { sourcePort: 8080, proto: udp, destination: "[fd12:3456:1::3]:443" }
    - { sourcePort: "8000:8003", destination: "[fd12:3456:2::2]:8000-8003" }
`

const loopback = (address4: string, address6: string): string => `${MASQUERADE}  forwardPorts:
    - { sourcePort: 8080, destination: "192.168.100.2:80", loopbackIPs: [${address4}] }
    - { sourcePort: "8000:8003", destination: "10.2.0.2:8000-8003", loopbackIPs: [${address4}] }
    - { sourcePort: 8080, destination: "[fd12:3456:1::2]:80", loopbackIPs: ["${address6}"] }
`

const CASES: readonly Case[] = [
  {
    name: 'what is internal is masqueraded, and nothing else',
    topology: network(MASQUERADE),
    asks: `tcp web 198.51.100.1 80; tcp box 198.51.100.1 80; udp db 198.51.100.1 80; tcp long 198.51.100.1 80
tcp web 2001:db8:1::1 80; tcp box 2001:db8:1::1 80; tcp long 2001:db8:1::1 80; tcp host 198.51.100.1 80; tcp web 10.2.0.2 80`,
    answers: [
      'web to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'box to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'db to 198.51.100.1 80/udp: far:80 sees 198.51.100.2',
      'long to 198.51.100.1 80: far:80 sees 10.3.0.2',
      'web to 2001:db8:1::1 80: far:80 sees 2001:db8:1::2',
      'box to 2001:db8:1::1 80: far:80 sees 2001:db8:1::2',
      'long to 2001:db8:1::1 80: far:80 sees fd12:3456:3::2',
      'host to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'web to 10.2.0.2 80: box:80 sees 192.168.100.2'
    ],
    nixos: `for tool in iptables ip6tables; do
  for name in br0 ve-box; do $tool -w -t nat -A PREROUTING -i $name -j MARK --set-mark 1; done
  $tool -w -t nat -A POSTROUTING -m mark --mark 1 -o eth0 -j MASQUERADE
done`
  },
  {
    name: 'without enableIPv6 only IPv4 is; a pattern means the pairs, also those with a hash in their name',
    topology: network('  internalInterfaces: [br0, "ve-*"]\n'),
    asks: `tcp web 198.51.100.1 80; tcp long 198.51.100.1 80; tcp long 2001:db8:1::1 80`,
    answers: [
      'web to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'long to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'long to 2001:db8:1::1 80: far:80 sees fd12:3456:3::2'
    ]
  },
  {
    name: 'networks instead of interfaces, and addresses of its own instead of masquerading',
    topology: network(`  enableIPv6: true
  internalIPs: [192.168.100.0/24, 10.2.0.0/16, 10.2.0.2/24]
  internalIPv6s: ["fd12:3456:1::/64", "fd12:3456:2::2"]
  externalIP: 198.51.100.5
  externalIPv6: "2001:db8:1::5"
`),
    asks: `tcp db 198.51.100.1 80; tcp box 198.51.100.1 80; tcp long 198.51.100.1 80
tcp db 2001:db8:1::1 80; udp box 2001:db8:1::1 80; tcp host 2001:db8:1::1 80`,
    answers: [
      'db to 198.51.100.1 80: far:80 sees 198.51.100.5',
      'box to 198.51.100.1 80: far:80 sees 198.51.100.5',
      'long to 198.51.100.1 80: far:80 sees 10.3.0.2',
      'db to 2001:db8:1::1 80: far:80 sees 2001:db8:1::5',
      'box to 2001:db8:1::1 80/udp: far:80 sees 2001:db8:1::5',
      'host to 2001:db8:1::1 80: far:80 sees 2001:db8:1::2'
    ],
    nixos: `for range in 192.168.100.0/24 10.2.0.0/16 10.2.0.2/24; do iptables -w -t nat -A POSTROUTING -s $range -o eth0 -j SNAT --to-source 198.51.100.5; done
for range in fd12:3456:1::/64 fd12:3456:2::2; do ip6tables -w -t nat -A POSTROUTING -s $range -o eth0 -j SNAT --to-source 2001:db8:1::5; done`
  },
  {
    name: 'forwards of both families and protocols; a port in the range of the destination stays as it is',
    topology: network(FORWARDS),
    asks: `tcp far 198.51.100.2 8080; tcp far 198.51.100.5 8080; tcp far 198.51.100.2 8081
tcp far 198.51.100.2 8000; tcp far 198.51.100.2 8003; udp far 198.51.100.2 8000; udp far 198.51.100.2 8003
tcp far 198.51.100.2 7007; tcp far 198.51.100.2 80; udp far 198.51.100.2 8080
tcp far 2001:db8:1::2 8080; udp far 2001:db8:1::2 8080; tcp far 2001:db8:1::2 8003; tcp far 2001:db8:1::2 80
tcp web 198.51.100.2 8080; tcp box 192.168.100.2 80`,
    answers: [
      'far to 198.51.100.2 8080: web:80 sees 198.51.100.1',
      'far to 198.51.100.5 8080: web:80 sees 198.51.100.1',
      'far to 198.51.100.2 8081: box:443 sees 198.51.100.1',
      'far to 198.51.100.2 8000: web:8000 sees 198.51.100.1',
      'far to 198.51.100.2 8003: web:8003 sees 198.51.100.1',
      'far to 198.51.100.2 8000/udp: db:8000 sees 198.51.100.1',
      'far to 198.51.100.2 8003/udp: db:8003 sees 198.51.100.1',
      'far to 198.51.100.2 7007: db:9000 sees 198.51.100.1',
      'far to 198.51.100.2 80: host:80 sees 198.51.100.1',
      'far to 198.51.100.2 8080/udp: host:8080 sees 198.51.100.1',
      'far to 2001:db8:1::2 8080: web:80 sees 2001:db8:1::1',
      'far to 2001:db8:1::2 8080/udp: db:443 sees 2001:db8:1::1',
      'far to 2001:db8:1::2 8003: box:8003 sees 2001:db8:1::1',
      'far to 2001:db8:1::2 80: host:80 sees 2001:db8:1::1',
      // Without loopbackIPs the host's own address is the host.
      'web to 198.51.100.2 8080: host:8080 sees 192.168.100.2',
      'box to 192.168.100.2 80: web:80 sees 10.2.0.2'
    ],
    nixos: `dnat() { tool=$1; shift; $tool -w -t nat -A PREROUTING -i eth0 -p $1 --dport $2 -j DNAT --to-destination $3; }
dnat iptables tcp 8080 192.168.100.2:80; dnat iptables tcp 8081 10.2.0.2:443; dnat iptables tcp 8000:8003 192.168.100.2:8000-8003
dnat iptables udp 8000:8003 192.168.100.3:8000-8003; dnat iptables tcp 7000:7010 192.168.100.3:9000
dnat ip6tables tcp 8080 [fd12:3456:1::2]:80; dnat ip6tables udp 8080 [fd12:3456:1::3]:443; dnat ip6tables tcp 8000:8003 [fd12:3456:2::2]:8000-8003`
  },
  {
    name: 'with an external address forwards are at that one only',
    topology: network(`${FORWARDS}  externalIP: 198.51.100.5\n  externalIPv6: "2001:db8:1::5"\n`),
    asks: `tcp far 198.51.100.5 8080; tcp far 198.51.100.2 8080; tcp far 2001:db8:1::5 8080; tcp far 2001:db8:1::2 8080; udp far 198.51.100.5 8001`,
    answers: [
      'far to 198.51.100.5 8080: web:80 sees 198.51.100.1',
      'far to 198.51.100.2 8080: host:8080 sees 198.51.100.1',
      'far to 2001:db8:1::5 8080: web:80 sees 2001:db8:1::1',
      'far to 2001:db8:1::2 8080: host:8080 sees 2001:db8:1::1',
      'far to 198.51.100.5 8001/udp: db:8001 sees 198.51.100.1'
    ]
  },
  ...[
    ['198.51.100.2', '2001:db8:1::2'],
    // Nobody has these.
    ['203.0.113.7', '2001:db8:7::7']
  ].map(
    ([four = '', six = '']): Case => ({
      name: `the host and the containers reach a forward at ${four} and ${six}`,
      topology: network(loopback(four, six)),
      asks: `tcp host ${four} 8080; tcp db ${four} 8080; tcp web ${four} 8080; tcp box ${four} 8080; tcp long ${four} 8003; tcp box ${four} 8001
tcp host ${six} 8080; tcp db ${six} 8080; tcp web ${six} 8080; tcp box ${six} 8080
tcp box 192.168.100.2 80; tcp far 198.51.100.2 8080`,
      answers: [
        `host to ${four} 8080: web:80 sees 192.168.100.1`,
        `db to ${four} 8080: web:80 sees 192.168.100.1`,
        `web to ${four} 8080: web:80 sees 192.168.100.1`,
        `box to ${four} 8080: web:80 sees 192.168.100.1`,
        `long to ${four} 8003: box:8003 sees 10.2.0.1`,
        `box to ${four} 8001: box:8001 sees 10.2.0.1`,
        `host to ${six} 8080: web:80 sees fd12:3456:1::1`,
        `db to ${six} 8080: web:80 sees fd12:3456:1::1`,
        `web to ${six} 8080: web:80 sees fd12:3456:1::1`,
        `box to ${six} 8080: web:80 sees fd12:3456:1::1`,
        // Who asks for it by its own address is seen by his own.
        'box to 192.168.100.2 80: web:80 sees 10.2.0.2',
        'far to 198.51.100.2 8080: web:80 sees 198.51.100.1'
      ],
      // Of the older module; since 25.11 iptables has them for internal interfaces only.
      nixos: `dnat() {
  for chain in OUTPUT PREROUTING; do $1 -w -t nat -A $chain -d $2 -p tcp --dport $3 -j DNAT --to-destination $4:$5; done
  $1 -w -t nat -A POSTROUTING -d $4 -p tcp --dport $(echo $5 | tr - :) -j SNAT --to-source $2
}
for tool in iptables; do dnat $tool ${four} 8080 192.168.100.2 80; dnat $tool ${four} 8000:8003 10.2.0.2 8000-8003; done
iptables -w -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 192.168.100.2:80
for chain in OUTPUT PREROUTING; do ip6tables -w -t nat -A $chain -d ${six} -p tcp --dport 8080 -j DNAT --to-destination [fd12:3456:1::2]:80; done
ip6tables -w -t nat -A POSTROUTING -d fd12:3456:1::2 -p tcp --dport 80 -j SNAT --to-source ${six}`
    })
  ),
  {
    name: 'a DMZ host gets what no forward has taken, over IPv4',
    topology: network(`${MASQUERADE}  dmzHost: 192.168.100.3
  forwardPorts: [{ sourcePort: 8080, destination: "192.168.100.2:80" }]
`),
    asks: `tcp far 198.51.100.2 22; udp far 198.51.100.2 80; tcp far 198.51.100.2 8080; tcp far 2001:db8:1::2 22; tcp web 192.168.100.1 22; tcp web 198.51.100.1 80`,
    answers: [
      'far to 198.51.100.2 22: db:22 sees 198.51.100.1',
      'far to 198.51.100.2 80/udp: db:80 sees 198.51.100.1',
      'far to 198.51.100.2 8080: web:80 sees 198.51.100.1',
      'far to 2001:db8:1::2 22: host:22 sees 2001:db8:1::1',
      'web to 192.168.100.1 22: host:22 sees 192.168.100.2',
      'web to 198.51.100.1 80: far:80 sees 198.51.100.2'
    ],
    nixos: `iptables -w -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 192.168.100.2:80
iptables -w -t nat -A PREROUTING -i eth0 -j DNAT --to-destination 192.168.100.3
iptables -w -t nat -A POSTROUTING -s 192.168.100.0/24 -o eth0 -j MASQUERADE`
  },
  {
    name: 'without filterForward the host forwards what is routed',
    topology: network(MASQUERADE),
    asks: `tcp far 192.168.100.2 80; tcp far fd12:3456:1::2 80; tcp box 192.168.100.2 80; ping far fd12:3456:1::2; ping far 192.168.100.2`,
    answers: [
      'far to 192.168.100.2 80: web:80 sees 198.51.100.1',
      'far to fd12:3456:1::2 80: web:80 sees 2001:db8:1::1',
      'box to 192.168.100.2 80: web:80 sees 10.2.0.2',
      'far to fd12:3456:1::2: an echo',
      'far to 192.168.100.2: an echo'
    ]
  },
  {
    name: 'filterForward lets in what is forwarded, lets out what is internal, and answers; nothing else',
    topology: network(`${FORWARDS}  internalIPs: [10.2.0.0/16]\n`, 'backend: nftables, filterForward: true'),
    asks: `tcp far 192.168.100.2 80; tcp far fd12:3456:1::2 80; tcp box 192.168.100.2 80; tcp long 198.51.100.1 80; tcp long 2001:db8:1::1 80
tcp web 198.51.100.1 80; udp box 198.51.100.1 80; tcp web 2001:db8:1::1 80; tcp far 198.51.100.2 8080; tcp far 2001:db8:1::2 8080
tcp db 192.168.100.2 80; tcp web 192.168.100.1 22; tcp far 198.51.100.2 22
ping far fd12:3456:1::2; ping far 192.168.100.2`,
    answers: [
      'far to 192.168.100.2 80: nothing',
      'far to fd12:3456:1::2 80: nothing',
      'box to 192.168.100.2 80: nothing',
      'long to 198.51.100.1 80: nothing',
      'long to 2001:db8:1::1 80: nothing',
      'web to 198.51.100.1 80: far:80 sees 198.51.100.2',
      'box to 198.51.100.1 80/udp: far:80 sees 198.51.100.2',
      'web to 2001:db8:1::1 80: far:80 sees 2001:db8:1::2',
      'far to 198.51.100.2 8080: web:80 sees 198.51.100.1',
      'far to 2001:db8:1::2 8080: web:80 sees 2001:db8:1::1',
      'db to 192.168.100.2 80: web:80 sees 192.168.100.3',
      'web to 192.168.100.1 22: host:22 sees 192.168.100.2',
      'far to 198.51.100.2 22: host:22 sees 198.51.100.1',
      'far to fd12:3456:1::2: an echo',
      'far to 192.168.100.2: no echo'
    ]
  }
]

const linesOf = ({ text }: Answer): readonly string[] => text.trim().split('\n')

describe('with packets', () => {
  let answers: ((i: number) => Promise<Answer>) | undefined
  const ask = async (i: number): Promise<Answer> => {
    const rules = await allRules(CASES.map(({ topology }) => topology))
    answers ??= questions(
      RESET,
      CASES.map(({ asks }, i) => `${load(rules[i] ?? '')}\n${asks}`),
      WIRES
    )
    return answers(i)
  }
  for (const [i, { name, answers }] of CASES.entries())
    test.skipIf(absent(TOOLS))(`as packets see it: ${name}`, async () => {
      expect(linesOf(await ask(i))).toEqual(answers)
    })

  const compared = CASES.filter(({ nixos }) => nixos !== undefined)
  const others = questions(
    RESET,
    compared.map(({ nixos, asks }) => `${nixos}\n${asks}`),
    WIRES
  )
  for (const [i, { name, answers }] of compared.entries())
    test.skipIf(absent(TOOLS))(`under the rules of NixOS the same answer: ${name}`, async () => {
      const who = (lines: readonly string[]): readonly string[] =>
        lines.map(line => line.replace(/ sees .*/, ''))
      expect(who(linesOf(await others(i)))).toEqual(who(answers))
    })

  test.skipIf(absent(TOOLS))(
    'the judge can say no: without the table nothing is translated or forwarded',
    async () => {
      const { text } = await inNamespace(
        `${WIRES}\nip -n far route del 192.168.100.0/24\ntcp web 198.51.100.1 80; tcp far 198.51.100.2 8081; tcp box 203.0.113.7 8080`
      )
      expect(text.trim().split('\n')).toEqual([
        'web to 198.51.100.1 80: nothing',
        'far to 198.51.100.2 8081: nothing',
        'box to 203.0.113.7 8080: nothing'
      ])
    }
  )
})

describe('loaded', () => {
  test.skipIf(absent(['nft']))(
    'twice, it is there once, and the tables of others are as they were',
    async () => {
      const rules = await rulesOf(network(FORWARDS, 'backend: nftables, filterForward: true'))
      const { text } =
        await inNamespace(`nft 'table ip other { chain pre { type nat hook prerouting priority dstnat; }; }'
nft list ruleset > /run/before
${load(rules)}
nft list ruleset > /run/once
${load(rules)}
nft list ruleset > /run/twice
cmp /run/once /run/twice && nft list tables && nft delete table inet netplan && nft list ruleset | cmp - /run/before && echo as before`)
      expect(text.trim().split('\n')).toEqual(['table ip other', 'table inet netplan', 'as before'])
    }
  )

  test.skipIf(absent(['nft']))(
    'over an older one, it is the newer one, and a faulty file changes nothing',
    async () => {
      const [older, newer] = [await rulesOf(network(FORWARDS)), await rulesOf(network(MASQUERADE))]
      const { text } = await inNamespace(`${load(older)}
${load(newer)}
nft list ruleset > /run/after
nft flush ruleset
${load(newer)}
nft list ruleset | cmp - /run/after && echo 'nothing is left of the older one'
${load(older.replace('192.168.100.2:80', '192.168.100.256:80'))}
[ $? = 0 ] || echo refused
nft list ruleset | cmp - /run/after && echo 'nothing of it is there'`)
      expect(text).toMatch(
        /^nothing is left of the older one\n[\s\S]*Error[\s\S]*\nrefused\nnothing of it is there\n$/
      )
    }
  )
})

/** Topologies for nft alone, each with what has to stand in its rules. */
const ACCEPTED: readonly (readonly [name: string, topology: string, lines: readonly string[]])[] = [
  ['no NAT', 'version: 1\n', ['table inet netplan {\n}']],
  [
    'NAT that is off',
    `version: 1\nnat: { enable: false, internalInterfaces: [br0], externalInterface: eth0 }\nbridges: { br0: {} }\n`,
    [
      'table inet netplan {\n}',
      '# Nothing is to be translated and nothing to be filtered: the table is empty.'
    ]
  ],
  [
    'a filter without NAT',
    'version: 1\nhost: { firewall: { backend: nftables, filterForward: true } }\n',
    ['policy drop;', 'ct status dnat accept\n  }']
  ],
  [
    'no interface outside',
    `version: 1\nnat: { enable: true, enableIPv6: true, internalIPs: [10.0.0.0/8], internalIPv6s: ["fd12:3456::/32"] }\n`,
    [
      '    ip saddr 10.0.0.0/8 masquerade\n    ip6 saddr fd12:3456::/32 masquerade\n',
      'net.ipv6.conf.UPLINK.accept_ra=2'
    ]
  ],
  [
    'everything is internal',
    `version: 1\nnat: { enable: true, externalInterface: eth0, internalInterfaces: ["+"] }\n`,
    ['    meta nfproto ipv4 oifname "eth0" masquerade\n']
  ],
  [
    'patterns of iptables that match nothing known, inside and outside',
    `version: 1\nnat: { enable: true, externalInterface: wl+, internalInterfaces: [docker+, veth+, br-lan] }\nhost: { interfaces: { wlp5s0: { dhcp: true }, br-lan: {} } }\n`,
    [
      '    meta nfproto ipv4 iifname "br-lan" oifname "wl*" masquerade',
      '    meta nfproto ipv4 iifname "docker*" oifname "wl*" masquerade',
      '    meta nfproto ipv4 iifname "veth*" oifname "wl*" masquerade'
    ]
  ],
  [
    'a pattern that means a bridge and pairs, but no port of a bridge',
    `version: 1
nat: { enable: true, externalInterface: eth0, internalInterfaces: [v+] }
bridges: { vbridge: { address: [10.1.0.1/24] } }
containers:
  web: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2 }
  aaa: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.3 }
  off: { enabled: false, privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.4 }
  on-bridge: { privateNetwork: true, hostBridge: vbridge, hostAddress: 10.1.0.1, localAddress: 10.1.0.2/24 }
`,
    ['iifname { "vbridge", "ve-aaa", "ve-web" } oifname "eth0"']
  ],
  [
    'a host of which the file has a part: the pattern stays',
    `version: 1
host: { partial: true }
nat: { enable: true, externalInterface: eth0, internalInterfaces: [ve-+] }
containers: { web: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2 } }
`,
    ['iifname "ve-*" oifname "eth0"']
  ],
  [
    'a plus sign under nftables is a letter, and a name at its longest',
    `version: 1
host: { firewall: { backend: nftables } }
nat: { enable: true, externalInterface: "enx0123456789ab", internalInterfaces: ["w+n", "enp123s0f1np1.1"] }
`,
    ['"w+n"', '"enp123s0f1np1.1"', 'oifname "enx0123456789ab"']
  ],
  [
    'names that are words of nft or look like its code',
    `version: 1
nat: { enable: true, enableIPv6: true, externalInterface: accept, internalInterfaces: [drop, "a;b", "}", "$x", "a#b", "0x1", "@s", "-"] }
`,
    [
      '"a;b"',
      '"}"',
      '"$x"',
      '"a#b"',
      '"0x1"',
      '"@s"',
      '"-"',
      'oifname "accept"',
      'net.ipv6.conf.accept.accept_ra=2'
    ]
  ],
  [
    'a VLAN outside, whose name has a dot',
    `version: 1\nnat: { enable: true, enableIPv6: true, externalInterface: eth0.10, internalInterfaces: [wg0] }\n`,
    ['net.ipv6.conf.eth0/10.accept_ra=2', 'oifname "eth0.10"']
  ],
  [
    'networks in each other, and with host bits',
    `version: 1\nnat: { enable: true, enableIPv6: true, externalInterface: eth0, internalIPs: [10.1.2.3/16, 10.0.0.0/8, 10.1.0.0/16, 192.168.7.9, 192.168.7.9/32], internalIPv6s: ["fd12:3456::1/32", "FD12:3456:0:0::/64", "::/0"] }\n`,
    ['ip saddr { 10.0.0.0/8, 192.168.7.9 } oifname', 'ip6 saddr ::/0 oifname']
  ],
  [
    'a network of everybody',
    `version: 1\nnat: { enable: true, externalInterface: eth0, internalIPs: [0.0.0.0/0] }\n`,
    ['ip saddr 0.0.0.0/0 oifname "eth0" masquerade']
  ],
  [
    'destinations without a port, and a port that leads to a range',
    `version: 1
nat:
  enable: true
  externalInterface: eth0
  forwardPorts:
    - { sourcePort: 53, proto: udp, destination: 10.0.0.2 }
    - { sourcePort: 5000, destination: "10.0.0.2:5100-5110" }
    - { sourcePort: "6000:65535", destination: "10.0.0.2:6000-65535" }
`,
    [
      'udp dport 53 dnat ip to 10.0.0.2\n',
      'tcp dport 5000 dnat ip to 10.0.0.2:5100-5110',
      'tcp dport 6000-65535 dnat ip to 10.0.0.2:6000-65535'
    ]
  ],
  [
    'many interfaces and many forwards',
    `version: 1
nat:
  enable: true
  externalInterface: eth0
  internalInterfaces: [${Array.from({ length: 300 }, (_, i) => `wg${i}`).join(', ')}]
  forwardPorts: [${Array.from({ length: 300 }, (_, i) => `{ sourcePort: ${i + 1}, destination: "10.0.0.2:80", loopbackIPs: [192.0.2.1, 192.0.2.2] }`).join(', ')}]
`,
    ['      "wg299"\n    } oifname', 'tcp dport 300 dnat ip to 10.0.0.2:80']
  ],
  [
    'forwards of systemd-nspawn and masquerading of networkd, which are not ours',
    `version: 1
host: { manager: networkd }
bridges: { br0: { address: [10.1.0.1/24], IPMasquerade: ipv4, definedBy: networkd } }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    hostAddress: 10.1.0.1
    localAddress: 10.1.0.2/24
    forwardPorts: [{ hostPort: 8080, containerPort: 80 }]
    firewall: { allowedTCPPorts: [80] }
`,
    ['table inet netplan {\n}', 'forwarded by systemd-nspawn itself', 'done by systemd-networkd']
  ],
  ...CASES.map(({ name, topology }) => [name, topology, []] as const),
  ...goldens
    .filter(({ outputs }) => !('nftables/refused' in outputs))
    .map(({ name, topology }) => [`golden ${name}`, topology, []] as const)
]

describe('nft accepts it', () => {
  // More than a script can hold.
  const folder = mkdtempSync(join(tmpdir(), 'netplan-nft-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const files = ACCEPTED.map((_, i) => join(folder, `${i}.nft`))
  const answers = questions(
    '',
    files.map(file => `nft -c -f '${file}'`)
  )
  let all: Promise<readonly string[]> | undefined
  const write = async (): Promise<readonly string[]> => {
    const rules = await allRules(ACCEPTED.map(([, topology]) => topology))
    for (const [i, file] of files.entries()) writeFileSync(file, rules[i] ?? '')
    return rules
  }
  test.skipIf(absent(['nft'])).each(ACCEPTED.map(([name], i) => ({ name, i })))('$name', async ({ i }) => {
    const rules = await (all ??= write())
    expect(await answers(i)).toEqual({ ok: true, text: '' })
    for (const line of ACCEPTED[i]?.[2] ?? []) expect(rules[i]).toContain(line)
    // No comment is longer than nft and people like, and nothing stands outside of the table.
    expect(rules[i]?.replace(/^table inet netplan \{\n(?: {2}.*\n|\n)*\}\n/m, '')).toMatch(
      /^(?:#.*\n)+\ntable inet netplan\ndelete table inet netplan\n$/
    )
  })
})

describe('refused, with its place', () => {
  const nat = (more: string): string =>
    `version: 1\nnat: { enable: true, externalInterface: eth0, internalInterfaces: [wg0], ${more} }\n`
  const cases: readonly (readonly [name: string, topology: string, words: RegExp])[] = [
    [
      'rules for FORWARD by hand',
      `version: 1\nhost: { firewall: { backend: nftables, filterForward: true, extraForwardRules: 'iifname "a" accept' } }\n`,
      /the rules in host\.firewall\.extraForwardRules: they are nftables code/
    ],
    [
      'rules for INPUT by hand',
      `version: 1\nhost: { firewall: { backend: nftables, extraInputRules: 'iifname "a" accept' } }\n`,
      /host\.firewall\.extraInputRules/
    ],
    [
      'commands of iptables',
      `version: 1\nhost: { firewall: { extraCommands: 'iptables -A FORWARD -i a -j DROP' } }\n`,
      /host\.firewall\.extraCommands: they are shell code/
    ],
    [
      'a quote in a name',
      nat(`internalIPs: [], enableIPv6: false`).replace('wg0', `'a"b'`),
      /nft has no way to write "\\""/
    ],
    ['a backslash in a name', nat(`internalIPs: []`).replace('wg0', `'a\\b'`), /nft has no way/]
  ]
  test.each(cases)('%s', async (_, topology, words) => {
    const refused = await refusalsOf(topology)
    expect(refused).toHaveLength(1)
    expect(refused[0]).toMatch(words)
  })

  test('but not rules that NixOS would not use either', async () => {
    expect(
      await refusalsOf(
        `version: 1\nhost: { firewall: { enable: false, backend: nftables, filterForward: true, extraForwardRules: 'a', extraInputRules: 'b', extraCommands: 'c' } }\n`
      )
    ).toEqual([])
    expect(
      await refusalsOf(`version: 1\nhost: { firewall: { extraForwardRules: 'a' , extraCommands: ' ' } }\n`)
    ).toEqual([])
  })
})

test('the same network gives the same bytes, whatever the order of its keys', async () => {
  const topology = network(FORWARDS.replace('ve-box', '"ve-*"'))
  const shuffled =
    topology.replace(CONTAINERS, '') +
    CONTAINERS.split(/^ {2}(?=\w)/m).reduce(
      (text, part, i, parts) =>
        i < 2 || part.startsWith('br0') ? text : `${text}  ${parts[parts.length - i + 1] ?? part}`,
      '\nbridges:\n  br0: { address: [192.168.100.1/24, "fd12:3456:1::1/64"] }\ncontainers:\n'
    )
  expect(shuffled).not.toBe(topology)
  expect((await planOf(shuffled)).topology.containers.map(({ name }) => name)).toEqual([
    'averyverylongcontainername',
    'box',
    'db',
    'web'
  ])
  expect(await rulesOf(shuffled)).toBe(await rulesOf(topology))
})

test('the first line says what made it', async () => {
  expect((await rulesOf(network(MASQUERADE))).split('\n', 1)).toEqual([
    '# Made by netplan 0.0.0 for nftables from the topology "topology"; change that and generate anew.'
  ])
})

test('no name gets into the rules that nft would read as something else', () => {
  for (const name of [
    'a"b',
    'a\nb',
    'a b',
    'a\\',
    'a*b',
    '',
    '0123456789abcdef',
    'ü',
    'a/b',
    'a:b',
    '\u2028'
  ])
    expect(nameFault({ name, pattern: false })).toBeDefined()
  expect(nameFault({ name: '0123456789abcde', pattern: true })).toBeDefined()
  expect(table('inet', 't', [])).toBe('table inet t\ndelete table inet t\ntable inet t {\n}\n')
})
