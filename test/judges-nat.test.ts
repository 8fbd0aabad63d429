import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { askNetworkd, withoutNetworkd } from './networkd.ts'
import { absent, type Answer, inNamespace, questions } from './judge.ts'

// What the rules of NAT and of ports claim, asked of iptables, nft, the kernel and systemd-sysctl. A port where nobody
// listens is enough to see whether packets come and go: the machine that they reach answers "refused".

const refusal = (words: RegExp): Answer => ({ ok: false, text: expect.stringMatching(words) })
const TAKEN: Answer = { ok: true, text: expect.any(String) }

/** A host with an uplink and two containers without a bridge, `web` and `box`; `far` is the next machine outside. */
const ROUTER = `
echo 1 > /proc/sys/net/ipv4/ip_forward
for name in far web box; do ip netns add $name; ip -n $name link set lo up; done
ip link add eth0 type veth peer name eth0 netns far; ip link set eth0 up; ip -n far link set eth0 up
ip addr add 198.51.100.2/24 dev eth0; ip -n far addr add 198.51.100.1/24 dev eth0; ip route add default via 198.51.100.1
pair() {
  ip link add ve-$1 type veth peer name eth0 netns $1; ip link set ve-$1 up; ip -n $1 link set eth0 up
  ip addr add 10.2.0.1 dev ve-$1; ip route add $2 dev ve-$1
  ip -n $1 addr add $2 dev eth0; ip -n $1 route add 10.2.0.1 dev eth0; ip -n $1 route add default via 10.2.0.1
}
pair web 10.2.0.2; pair box 10.2.0.3
connect() { nsenter --net=/run/netns/$1 timeout 0.6 bash -c "echo > /dev/tcp/$2/$3" 2>&1 | grep -q refused && echo "$1 is answered" || echo "$1 gets nothing"; }
here() { timeout 0.6 bash -c "echo > /dev/tcp/$1/$2" 2>&1 | grep -q refused && echo "the host is answered" || echo "the host gets nothing"; }
send() { nsenter --net=/run/netns/$1 bash -c "echo > /dev/udp/$2/$3"; }
count() { iptables -w -v -S FORWARD | sed -n 's/.*-d 10.2.0.2.*--dport \\([0-9]*\\) -c \\([0-9]*\\) .*/\\1: \\2/p' | grep -v ': 0'; }
`
const RESET = `for table in nat filter mangle; do iptables -w -t $table -F; done; nft flush ruleset; ip -n far neigh flush all`
const TOOLS = ['ip', 'iptables', 'ip6tables', 'nft', 'nsenter']

describe.concurrent('what ends firewall-start before INPUT is filled', () => {
  const bad: readonly (readonly [name: string, rule: string, words: RegExp])[] = [
    ['externalIP', 'iptables -t nat -A POSTROUTING -o eth0 -j SNAT --to-source 10.0.0.256', /Bad IP address/],
    ['externalIP with a length', 'iptables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1/24', /Bad IP/],
    ['externalIP, octal', 'iptables -t nat -A POSTROUTING -j SNAT --to-source 010.0.0.1', /Bad IP address/],
    ['externalIP, short', 'iptables -t nat -A POSTROUTING -j SNAT --to-source 10.1', /Bad IP address/],
    ['externalIP of IPv6', 'iptables -t nat -A POSTROUTING -j SNAT --to-source fd12::1', /Bad IP address/],
    [
      'externalIPv6 of IPv4',
      'ip6tables -t nat -A POSTROUTING -j SNAT --to-source 10.0.0.1',
      /Bad IP address/
    ],
    ['dmzHost', 'iptables -t nat -A PREROUTING -i eth0 -j DNAT --to-destination web', /Bad IP address/],
    ['internalIPs', 'iptables -t nat -A POSTROUTING -s 10.0.0.256/24 -j MASQUERADE', /not found/],
    ['internalIPs of IPv6', 'iptables -t nat -A POSTROUTING -s fd12::/64 -j MASQUERADE', /invalid mask/],
    ['internalIPv6s of IPv4', 'ip6tables -t nat -A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE', /not found/],
    [
      'loopbackIPs',
      'iptables -t nat -A OUTPUT -d 300.1.2.3 -p tcp --dport 8 -j DNAT --to-destination 10.0.0.2:8',
      /not found/
    ],
    [
      'loopbackIPs of IPv6',
      'iptables -t nat -A OUTPUT -d fd12::1 -p tcp --dport 8 -j DNAT --to-destination 10.0.0.2:8',
      /not found/
    ],
    [
      'internalInterfaces',
      'iptables -t nat -A PREROUTING -i ve-thirteenchars -j MARK --set-mark 1',
      /must be shorter/
    ],
    [
      'externalInterface',
      'iptables -t nat -A POSTROUTING -o ve-thirteenchars -j MASQUERADE',
      /must be shorter/
    ]
  ]
  const answers = questions(
    'for tool in iptables ip6tables; do for table in nat filter; do $tool -w -t $table -F; $tool -w -t $table -X; done; done',
    bad.map(
      ([, rule]) => `bash -ec '${rule}; iptables -w -N nixos-fw; iptables -w -A INPUT -j nixos-fw'
iptables -w -S INPUT; iptables -w -S INPUT | grep -q nixos-fw`
    )
  )
  for (const [i, [name, , words]] of bad.entries())
    test.skipIf(absent(TOOLS))(`a bad ${name}`, async () => {
      const answer = await answers(i)
      expect(answer).toEqual(refusal(words))
      expect(answer.text).toContain('-P INPUT ACCEPT')
    })

  test.skipIf(absent(TOOLS))('not host bits, an address without a length, or a mask', async () => {
    const { text } = await inNamespace(
      `for range in 192.168.100.5/24 192.168.100.5 192.168.101.0/255.255.255.0; do iptables -w -t nat -A POSTROUTING -s $range -j MASQUERADE || exit; done; iptables -w -t nat -S POSTROUTING`
    )
    for (const source of ['192.168.100.0/24', '192.168.100.5/32', '192.168.101.0/24'])
      expect(text).toContain(`-s ${source} -j MASQUERADE`)
  })
})

describe.concurrent('where ranges of ports lead', () => {
  const ranges: readonly (readonly [from: string, to: string, arrives: Readonly<Record<string, number>>])[] =
    [
      ['8000:8003', '8000-8003', { 8000: 1, 8001: 1, 8003: 1 }],
      ['8000:8003', '9000-9003', { 9000: 3 }],
      ['8000:8003', '8001-8002', { 8001: 3 }],
      ['8000:8003', '7000-8003', { 8000: 1, 8001: 1, 8003: 1 }],
      ['8000:8003', '80', { 80: 3 }]
    ]
  const look = `${Array.from({ length: 4 }, (_, i) => [8000 + i, 9000 + i])
    .flat()
    .concat(80)
    .map(port => `iptables -w -A FORWARD -d 10.2.0.2 -p udp --dport ${port}`)
    .join('\n')}
for port in 8000 8001 8003; do send far 198.51.100.2 $port; done; count`
  const scripts = ranges.flatMap(([from, to]) => [
    `iptables -w -t nat -A PREROUTING -i eth0 -p udp --dport ${from} -j DNAT --to-destination 10.2.0.2:${to}\n${look}`,
    // What nat-nftables.nix writes since 23.11.
    `nft 'table ip n { chain pre { type nat hook prerouting priority dstnat; iifname "eth0" meta l4proto { tcp, udp } dnat meta l4proto . th dport map { udp . ${from.replace(':', '-')} : 10.2.0.2 . ${to} }; }; }'\n${look}`
  ])
  // Each connection is one of its own, though UDP knows none.
  const counts = questions(
    RESET,
    scripts.map(
      (script, i) =>
        `ip addr add 198.51.100.${100 + i}/24 dev eth0\n${script.replace('198.51.100.2 $port', `198.51.100.${100 + i} $port`)}`
    ),
    ROUTER
  )
  for (const [i, [from, to, arrives]] of ranges.entries())
    for (const [j, tool] of ['iptables', 'nft'].entries())
      test.skipIf(absent(TOOLS))(`${tool}: ${from} to ${to}`, async () => {
        const { text } = await counts(i * 2 + j)
        expect(
          Object.fromEntries(
            text
              .trim()
              .split('\n')
              .map(line => line.split(': '))
          )
        ).toEqual(
          Object.fromEntries(Object.entries(arrives).map(([port, packets]) => [port, String(packets)]))
        )
      })

  test.skipIf(absent(TOOLS))('a map that NixOS 23.05 writes takes no range before nftables 1.1', async () => {
    const { ok, text } = await inNamespace(
      `nft --version; nft 'table ip n { chain pre { type nat hook prerouting priority dstnat; dnat meta l4proto . th dport map { tcp . 8000-8010 : 10.0.0.2 . 80 }; }; }'`
    )
    const [, major = 0, minor = 0] = /v(\d+)\.(\d+)/.exec(text)?.map(Number) ?? []
    expect(ok || /only valid after transport protocol match/.test(text)).toBe(true)
    if (major === 1 && minor === 0) expect(ok).toBe(false)
  })
})

describe.concurrent('who is answered', () => {
  const dnat = (ip: string): string => `
for chain in OUTPUT PREROUTING; do iptables -w -t nat -A $chain -d ${ip} -p tcp --dport 8080 -j DNAT --to-destination 10.2.0.2:80; done
iptables -w -t nat -A POSTROUTING -d 10.2.0.2 -p tcp --dport 80 -j SNAT --to-source ${ip}`
  const map = (ip: string): string => `
nft 'table ip n {
chain pre { type nat hook prerouting priority dstnat; meta l4proto { tcp, udp } dnat ip daddr . meta l4proto . th dport map { ${ip} . tcp . 8080 : 10.2.0.2 . 80 }; }
chain post { type nat hook postrouting priority srcnat; iifname != "eth0" ip daddr . meta l4proto . th dport { 10.2.0.2 . tcp . 80 } masquerade; }
chain out { type nat hook output priority mangle; meta l4proto { tcp, udp } dnat ip daddr . meta l4proto . th dport map { ${ip} . tcp . 8080 : 10.2.0.2 . 80 }; }
}'`
  const loop = (ip: string): string => `here ${ip} 8080; connect box ${ip} 8080; connect web ${ip} 8080`
  const ALL = ['the host is answered', 'box is answered', 'web is answered']
  const snat = (ip: string): string =>
    `iptables -w -t nat -A POSTROUTING -s 10.2.0.0/24 -o eth0 -j SNAT --to-source ${ip}\nconnect web 198.51.100.1 81`
  const cases: readonly (readonly [name: string, script: string, lines: readonly string[]])[] = [
    [
      'with iptables by a loopback address of the host',
      `${dnat('198.51.100.2')}\n${loop('198.51.100.2')}`,
      ALL
    ],
    ['with iptables by one that nobody has', `${dnat('203.0.113.77')}\n${loop('203.0.113.77')}`, ALL],
    ['with nftables by one that nobody has', `${map('203.0.113.77')}\n${loop('203.0.113.77')}`, ALL],
    ['with an external address of the host', snat('198.51.100.2'), ['web is answered']],
    ['with one beside it that nobody has', snat('198.51.100.77'), ['web gets nothing']],
    [
      'with one of another network, once it is routed to the host',
      `${snat('192.0.2.5')}; ip -n far route add 192.0.2.5 via 198.51.100.2; connect web 198.51.100.1 82`,
      ['web gets nothing', 'web is answered']
    ],
    [
      'when one interface does not forward',
      'iptables -w -t nat -A POSTROUTING -o eth0 -j MASQUERADE; echo 0 > /proc/sys/net/ipv4/conf/ve-web/forwarding; connect web 198.51.100.1 83; connect box 198.51.100.1 83',
      ['web gets nothing', 'box is answered']
    ]
  ]
  const answer = questions(
    `${RESET}; echo 1 > /proc/sys/net/ipv4/ip_forward`,
    cases.map(([, script]) => script),
    ROUTER
  )
  for (const [i, [name, , lines]] of cases.entries())
    test.skipIf(absent(TOOLS))(`all and only these: ${name}`, async () => {
      expect((await answer(i)).text.trim().split('\n')).toEqual(lines)
    })

  test.skipIf(absent(TOOLS))('a DMZ host gets what is for the host itself', async () => {
    const { text } = await inNamespace(`${ROUTER}
iptables -w -t nat -A PREROUTING -i eth0 -j DNAT --to-destination 10.2.0.2
iptables -w -A FORWARD -d 10.2.0.2 -p udp --dport 22; iptables -w -A INPUT -p udp --dport 22
send far 198.51.100.2 22; send box 10.2.0.1 22
count; iptables -w -v -S INPUT | grep -c -- '-c 1 '`)
    expect(text.trim().split('\n')).toEqual(['22: 1', '1'])
  })
})

const SYSCTL = '/usr/lib/systemd/systemd-sysctl'

test.skipIf(absent(['ip']) || !existsSync(SYSCTL))(
  'net.ipv4.ip_forward comes after what NAT sets, and wins',
  async () => {
    const { text } =
      await inNamespace(`mount -t tmpfs tmpfs /etc/sysctl.d; mount -t tmpfs tmpfs /usr/lib/sysctl.d
printf '%s\\n' net.ipv4.conf.all.forwarding=1 net.ipv4.conf.default.forwarding=1 net.ipv4.ip_forward=0 > /etc/sysctl.d/60-nixos.conf
${SYSCTL}; cat /proc/sys/net/ipv4/conf/all/forwarding
sed -i /ip_forward/d /etc/sysctl.d/60-nixos.conf; ${SYSCTL}; cat /proc/sys/net/ipv4/conf/all/forwarding`)
    expect(text.trim().split('\n').slice(-2)).toEqual(['0', '1'])
  }
)

describe.concurrent('one port for two programs', () => {
  const listen = async (...hosts: readonly (readonly [host: string, ipv6Only: boolean])[]): Promise<Answer> =>
    inNamespace(`'${process.execPath}' -e '
const next = ([[host, ipv6Only], ...rest]) => require("net").createServer()
  .on("error", ({ code }) => { console.log(code); process.exit(1) })
  .listen({ host, port: 8080, ipv6Only }, () => rest.length > 0 ? next(rest) : process.exit(0))
next(${JSON.stringify(hosts)})'`)
  const taken = refusal(/EADDRINUSE/)
  test.skipIf(absent(['ip']))(':: takes IPv4 as well, unless it is told not to', async () => {
    expect(await listen(['0.0.0.0', false], ['::', false])).toEqual(taken)
    expect(await listen(['127.0.0.1', false], ['::', false])).toEqual(taken)
    expect(await listen(['0.0.0.0', false], ['::', true])).toEqual(TAKEN)
  })
  test.skipIf(absent(['ip']))('any address takes each single one, and single ones are apart', async () => {
    expect(await listen(['0.0.0.0', false], ['127.0.0.1', false])).toEqual(taken)
    expect(await listen(['::', false], ['::1', false])).toEqual(taken)
    expect(await listen(['127.0.0.1', false], ['127.0.0.2', false])).toEqual(TAKEN)
  })
})

test.skipIf(withoutNetworkd())(
  'networkd masquerades towards every interface, and after networking.nat',
  async () => {
    const { said } = await askNetworkd({
      units: {
        '20-br0.netdev': '[NetDev]\nName=br0\nKind=bridge',
        '20-br0.network':
          '[Match]\nName=br0\n[Network]\nAddress=10.1.0.1/24\nConfigureWithoutCarrier=yes\nIPMasquerade=ipv4'
      },
      after: 'nft list table ip io.systemd.nat'
    })
    // srcnat is the priority of nat-nftables.nix, and of iptables.
    expect(said).toMatch(/hook postrouting priority srcnat \+ 1/)
    expect(said).toMatch(/^\s*ip saddr @masq_saddr masquerade$/m)
  }
)

// The rules of libvirt's own network_iptables.c and network_nftables.c for a network with NAT; `far` connects to a port
// that is sent on to the machine, where nobody listens: what gets there is reset, what libvirt rejects is not seen there.
describe.concurrent('what gets into a network of libvirt with NAT', () => {
  const HOST = `
echo 1 > /proc/sys/net/ipv4/ip_forward
for name in far vm; do ip netns add $name; ip -n $name link set lo up; done
ip link add eth0 type veth peer name eth0 netns far; ip link set eth0 up; ip -n far link set eth0 up
ip addr add 198.51.100.2/24 dev eth0; ip -n far addr add 198.51.100.1/24 dev eth0
ip link add virbr0 type bridge forward_delay 0; ip link set virbr0 up; ip addr add 192.168.122.1/24 dev virbr0
ip link add vnet0 type veth peer name eth0 netns vm; ip link set vnet0 master virbr0 up; ip -n vm link set eth0 up
ip -n vm addr add 192.168.122.78/24 dev eth0; ip -n vm route add default via 192.168.122.1
nsenter --net=/run/netns/vm iptables -w -A INPUT -p tcp --dport 80
look() {
  nsenter --net=/run/netns/far timeout 0.6 bash -c 'echo > /dev/tcp/198.51.100.2/8080' 2> /dev/null
  nsenter --net=/run/netns/vm iptables -w -v -S INPUT | grep -q -- '--dport 80 -c 0 ' && echo refused || echo arrives
}
nat() { iptables -w -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination 192.168.122.78:80; }
chains() {
  for name in FWO FWI FWX; do iptables -w -N LIBVIRT_$name; iptables -w -I FORWARD -j LIBVIRT_$name; done
  iptables -w -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -w -A LIBVIRT_FWI -o virbr0 -j REJECT
  iptables -w -A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT; iptables -w -A LIBVIRT_FWO -i virbr0 -j REJECT
}
table() {
  nft 'table ip libvirt_network {
chain guest_output { ip saddr 192.168.122.0/24 iif "virbr0" accept; iif "virbr0" reject; }
chain guest_input { oif "virbr0" ip daddr 192.168.122.0/24 ct state related,established accept; oif "virbr0" reject; }
chain forward { type filter hook forward priority 0; policy accept; jump guest_input; jump guest_output; }
}'
}
accept() { iptables -w $1 FORWARD -o virbr0 -d 192.168.122.78 -p tcp --dport 80 -j ACCEPT; }
`
  const NIXOS = `nft 'table inet nixos-fw {
chain forward { type filter hook forward priority 0; policy drop; ct state vmap { established : accept, related : accept }; jump forward-allow; }
chain forward-allow { oifname "virbr0" accept; ct status dnat accept; }
}'`
  const cases: readonly (readonly [name: string, script: string, outcome: 'arrives' | 'refused'])[] = [
    ['without libvirt', 'nat', 'arrives'],
    ['with iptables', 'nat; chains', 'refused'],
    ['an accept at the end of FORWARD', 'nat; chains; accept -A', 'refused'],
    ['one at the top, when libvirt runs already', 'nat; chains; accept -I', 'arrives'],
    ['one at the top, when libvirt starts after it', 'nat; accept -I; chains', 'refused'],
    ['with nftables', 'nat; table', 'refused'],
    ['what the forward chain of NixOS accepts', `nat; ${NIXOS}`, 'arrives'],
    ['the same beside the table of libvirt', `nat; ${NIXOS}; table`, 'refused'],
    [
      "an accept in libvirt's own chain",
      'nat; table; nft insert rule ip libvirt_network guest_input oifname virbr0 ip daddr 192.168.122.78 tcp dport 80 accept',
      'arrives'
    ]
  ]
  for (const [name, script, outcome] of cases)
    test.skipIf(absent(TOOLS))(`${outcome}: ${name}`, async () => {
      const { text } = await inNamespace(`${HOST}\n${script}; look`)
      expect(text.trim()).toBe(outcome)
    })
})
