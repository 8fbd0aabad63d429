import { describe, expect, test } from 'vitest'
import { hostIfname } from '../src/net/ifname.ts'
import { absent, type Answer, inNamespace, questions } from './judge.ts'

// What the rules claim about tools and the kernel, asked of them. The words of a tool are compared loosely where its
// versions differ: nftables 1.0.6 and 1.1, iptables 1.8.9 and 1.8.11, iproute2 6.1 and 6.15.

const refusal = (words: RegExp): Answer => ({ ok: false, text: expect.stringMatching(words) })
const TAKEN: Answer = { ok: true, text: expect.any(String) }

describe.concurrent('iproute2 and the kernel', () => {
  const TOOLS = ['ip']
  const PAIR = 'ip link add x type veth peer name y; ip link set x up; ip link set y up\n'
  const cases: readonly (readonly [name: string, script: string, words: RegExp])[] = [
    [
      'a host route with host bits',
      'ip route add 192.168.100.11/24 dev x',
      /Invalid prefix for given prefix length/
    ],
    [
      'a second container with the same address',
      'ip route add 192.168.100.11 dev x; ip route add 192.168.100.11 dev x',
      /RTNETLINK answers: File exists/
    ],
    [
      'a second container in the same IPv6 network, whose prefix is routed as a whole',
      'ip -6 route add fd12:3456:789a::2/64 dev x; ip -6 route add fd12:3456:789a::3/64 dev x',
      /RTNETLINK answers: File exists/
    ],
    [
      'a gateway outside the network',
      'ip addr add 192.168.100.2/29 dev x; ip route add default via 192.168.100.9',
      /Nexthop has invalid gateway/
    ],
    [
      'a gateway of an address without a prefix length',
      'ip addr add 192.168.100.2 dev x; ip route add default via 192.168.100.1',
      /Nexthop has invalid gateway/
    ],
    [
      'a broadcast address as gateway',
      'ip addr add 192.168.100.2/29 dev x; ip route add default via 192.168.100.7',
      /Nexthop has invalid gateway/
    ],
    [
      'an IPv6 gateway of an address without a prefix length',
      'ip -6 addr add fd12:3456:789a::2 dev x nodad; ip -6 route add default via fd12:3456:789a::1',
      /No route to host|invalid gateway/
    ],
    [
      'a link-local gateway without an interface',
      'ip -6 route add default via fe80::1',
      /Egress device not specified/
    ],
    ['IPv4 in an option for IPv6', 'ip -6 addr add 10.0.0.1 dev x', /inet6 prefix is expected/],
    ['an octet over 255', 'ip addr add 192.168.100.256 dev x', /prefix is expected/],
    ['an interface name of 16 bytes', 'ip link add sixteen-bytes-ab type bridge', /./],
    ['a bridge called "all"', 'ip link add all type bridge', /Invalid argument/]
  ]
  const answer = questions(
    `ip link del x; ip link add x type veth peer name y; ip link set x up; ip link set y up`,
    cases.map(([, script]) => script)
  )
  for (const [i, [name, , words]] of cases.entries())
    test.skipIf(absent(TOOLS))(`refuse ${name}`, async () => {
      expect(await answer(i)).toEqual(refusal(words))
    })

  test.skipIf(absent(TOOLS))('take the same host address on two pairs', async () => {
    expect(
      await inNamespace(`${PAIR}ip addr add 192.168.100.10 dev x && ip addr add 192.168.100.10 dev y`)
    ).toEqual(TAKEN)
  })

  test.skipIf(absent(TOOLS))('take IPv6 in an option for either family', async () => {
    expect(await inNamespace(`${PAIR}ip addr add fd12:3456:789a::2 dev x`)).toEqual(TAKEN)
  })

  test.skipIf(absent(TOOLS))('read a leading zero as octal', async () => {
    const { text } = await inNamespace(`${PAIR}ip addr add 010.0.0.8 dev x; ip -o addr show dev x`)
    expect(text).toContain('inet 8.0.0.8/32')
  })
})

/** A host that routes between a container's pair, a bridge and an uplink; what leaves by eth0 is lost. */
const ROUTER = `
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up
ip addr add 198.51.100.2/24 dev eth0; ip -6 addr add 2001:db8:1::2/64 dev eth0 nodad
ip link add br0 type bridge; ip link set br0 up
ip addr add 10.1.0.1/24 dev br0; ip -6 addr add fd12:3456:789a:b::1/64 dev br0 nodad
for name in web box; do ip netns add $name; done
ip link add ve-web type veth peer name eth0 netns web; ip link set ve-web up
ip addr add 10.2.0.1/24 dev ve-web; ip -6 addr add fd12:3456:789a:a::1/64 dev ve-web nodad
ip link add vb-box type veth peer name eth0 netns box; ip link set vb-box master br0 up
inside() {
  ip -n $1 link set eth0 up; ip -n $1 addr add $2/24 dev eth0; ip -n $1 route add default via $3
  ip -n $1 -6 addr add $4/64 dev eth0 nodad; ip -n $1 -6 route add default via $5
}
inside web 10.2.0.2 10.2.0.1 fd12:3456:789a:a::2 fd12:3456:789a:a::1
inside box 10.1.0.2 10.1.0.1 fd12:3456:789a:b::2 fd12:3456:789a:b::1
send() { for to in 198.51.100.1 2001:db8:1::1; do nsenter --net=/run/netns/$1 bash -c "echo > /dev/udp/$to/9"; done; }
sleep 0.1
`

const TOOLS_OF = { nft: ['nft'], iptables: ['iptables', 'ip6tables'] } as const
const RESET = {
  nft: 'nft flush ruleset',
  iptables: 'for tool in iptables ip6tables; do $tool -w -t nat -F; done'
} as const

const setUp = (backend: 'nft' | 'iptables', pattern: string): string =>
  backend === 'nft'
    ? `for family in ip ip6; do nft "table $family nixos-nat { chain post { type nat hook postrouting priority srcnat; iifname { \\"${pattern}\\" } oifname \\"eth0\\" counter masquerade; }; }"; done
count() { nft list ruleset; }`
    : `for tool in iptables ip6tables; do
$tool -w -t nat -A PREROUTING -i '${pattern}' -j MARK --set-mark 1
$tool -w -t nat -A POSTROUTING -m mark --mark 1 -o eth0 -j MASQUERADE
done
count() { for tool in iptables ip6tables; do $tool -w -t nat -v -S; done; }`

describe.concurrent('name patterns', () => {
  // Each pattern alone, and how many packets of a pair and of a bridged container it matches when each sends one.
  const patterns: readonly (readonly [
    backend: 'nft' | 'iptables',
    pattern: string,
    web: number,
    box: number
  ])[] = [
    ['nft', 've-*', 1, 0],
    ['nft', 've-+', 0, 0],
    ['nft', 've-web', 1, 0],
    ['nft', 'vb-*', 0, 0],
    ['nft', 'br0', 0, 1],
    ['iptables', 've-+', 1, 0],
    ['iptables', 've-*', 0, 0],
    ['iptables', 've-web', 1, 0],
    ['iptables', 'vb-+', 0, 0],
    ['iptables', 'br0', 0, 1]
  ]
  for (const backend of ['nft', 'iptables'] as const) {
    const mine = patterns.filter(([other]) => other === backend)
    const counts = questions(
      RESET[backend],
      mine.map(([, pattern]) => `${setUp(backend, pattern)}\nsend web; count; send box; count`),
      ROUTER
    )
    for (const [i, [, pattern, web, box]] of mine.entries())
      test.skipIf(absent(['ip', 'nsenter', ...TOOLS_OF[backend]]))(
        `${backend} takes "${pattern}" for ${web > 0 ? 'a pair' : box > 0 ? 'a bridge' : 'nothing'}`,
        async () => {
          const { text } = await counts(i)
          const found = text
            .split('\n')
            .filter(line => /masquerade/i.test(line))
            .map(rule => Number(/(?:packets|-c) (\d+)/.exec(rule)?.[1]))
          expect(found).toEqual([web, web, web + box, web + box])
        }
      )
  }

  test.skipIf(absent(['ip', 'nft']))('nft has no pattern for every name', async () => {
    expect(await inNamespace(`nft 'table ip t { chain c { iifname { "*" } accept; }; }'`)).toEqual(
      refusal(/All-wildcard strings are not supported/)
    )
  })

  test.skipIf(absent(['ip', 'nft']))(
    'nft refuses the + of iptables where NixOS writes no quotes',
    async () => {
      expect(
        await inNamespace(`nft 'table inet t { chain c { iifname ve-+ tcp dport { 53 } accept; }; }'`)
      ).toEqual(refusal(/syntax error, unexpected \+/))
      expect(
        await inNamespace(`nft 'table inet t { chain c { iifname ve-* tcp dport { 53 } accept; }; }'`)
      ).toEqual(TAKEN)
    }
  )

  test.skipIf(absent(['ip', 'nft', 'iptables']))(
    'both refuse a name that is longer than 15 bytes',
    async () => {
      expect(
        await inNamespace(`nft 'table ip t { chain c { iifname { "ve-thirteenchars" } accept; }; }'`)
      ).toEqual(refusal(/String exceeds maximum length/))
      expect(await inNamespace('iptables -w -A INPUT -i ve-thirteenchars -j ACCEPT')).toEqual(
        refusal(/must be shorter than/)
      )
      expect(
        await inNamespace(`iptables -w -A INPUT -i ${hostIfname('thirteenchars', false)} -j ACCEPT`)
      ).toEqual(TAKEN)
    }
  )
})

/** What nat-iptables.nix writes for a forward. */
const dnat = (proto: string, ports: string, destination: string): string =>
  `${destination.split(':').length > 2 ? 'ip6tables' : 'iptables'} -w -t nat -A PREROUTING -i eth0 -p '${proto}' --dport '${ports}' -j DNAT --to-destination '${destination}'\n`

/** What nat-nftables.nix writes for forwards; a destination is given as `address . port`. */
const dnatMap = (...forwards: readonly string[]): string =>
  `nft 'table ip t { chain pre { type nat hook prerouting priority dstnat; iifname "eth0" dnat meta l4proto . th dport map { ${forwards.join(', ')} } comment "port forward"; }; }'\n`

describe.concurrent('forwards of networking.nat with iptables', () => {
  const TOOLS = ['ip', 'iptables', 'ip6tables']
  const refused: readonly (readonly [proto: string, ports: string, destination: string, words: RegExp])[] = [
    ['tcp', '99999', '10.0.0.2:80', /invalid port\/service/],
    ['tcp', '-1', '10.0.0.2:80', /invalid port\/service/],
    ['tcp', '9000:8000', '10.0.0.2:80', /invalid portrange/],
    ['tcp/udp', '80', '10.0.0.2:80', /unknown protocol/],
    ['both', '80', '10.0.0.2:80', /unknown protocol/],
    ['icmp', '80', '10.0.0.2:80', /unknown option "--dport"/],
    ['tcp', '80', '10.0.0.256:80', /Bad IP address/],
    ['tcp', '80', '010.0.0.2:80', /Bad IP address/],
    ['tcp', '80', '10.0.0.2/24:80', /Bad IP address/],
    ['tcp', '80', 'web:80', /Bad IP address/],
    ['tcp', '80', '10.0.0.2:99999', /Port `99999' not valid/],
    ['tcp', '80', '10.0.0.2:90-80', /Port range `80' funky/],
    ['tcp', '80', '[10.0.0.2]:80', /Invalid address format/],
    ['tcp', '80', '10.0.0.2:80:90', /Bad IP address/],
    ['tcp', '80', 'fd12:3456:789a:1:2:3:4:5:80', /Bad IP address/],
    ['tcp', '80', 'fd12:3456:789a::2:65000', /Bad IP address/],
    ['tcp', '80', '[fd12:3456:789a::2/64]:80', /Bad IP address/]
  ]
  const refusals = questions(
    '',
    refused.map(([proto, ports, destination]) => dnat(proto, ports, destination))
  )
  for (const [i, [proto, ports, destination, words]] of refused.entries())
    test.skipIf(absent(TOOLS))(`refuse ${proto} ${ports} to ${destination}`, async () => {
      expect(await refusals(i)).toEqual(refusal(words))
    })

  const taken: readonly (readonly [proto: string, ports: string, destination: string, becomes: string])[] = [
    ['TCP', '80', '10.0.0.2:80', '-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80'],
    ['sctp', '80', '10.0.0.2:80', '-p sctp -m sctp --dport 80 -j DNAT --to-destination 10.0.0.2:80'],
    ['tcp', '0', '10.0.0.2:80', '--dport 0 -j DNAT --to-destination 10.0.0.2:80'],
    ['tcp', '0:100', '10.0.0.2:80', '--dport 0:100 -j DNAT --to-destination 10.0.0.2:80'],
    ['tcp', '80', '10.0.0.2:0', '--dport 80 -j DNAT --to-destination 10.0.0.2:0'],
    ['tcp', '80', '10.0.0.2', '--dport 80 -j DNAT --to-destination 10.0.0.2'],
    ['tcp', '80', '10.0.0.2:http', '--dport 80 -j DNAT --to-destination 10.0.0.2:80'],
    ['tcp', '80', '10.0.0.2-10.0.0.3:80', '--dport 80 -j DNAT --to-destination 10.0.0.2-10.0.0.3:80'],
    // The port is taken for the address's last group.
    ['tcp', '80', 'fc00::2:80', '--dport 80 -j DNAT --to-destination fc00::2:80'],
    ['tcp', '80', '[fc00::2]:80', '--dport 80 -j DNAT --to-destination [fc00::2]:80']
  ]
  const rules = questions(
    'iptables -w -t nat -F; ip6tables -w -t nat -F',
    taken.map(
      ([proto, ports, destination]) =>
        `${dnat(proto, ports, destination)}iptables -w -t nat -S; ip6tables -w -t nat -S`
    )
  )
  for (const [i, [proto, ports, destination, becomes]] of taken.entries())
    test.skipIf(absent(TOOLS))(`take ${proto} ${ports} to ${destination}`, async () => {
      expect((await rules(i)).text).toContain(becomes)
    })

  test.skipIf(absent(TOOLS))('take a port twice, and once for each family', async () => {
    expect(
      await inNamespace(
        `set -e\n${dnat('tcp', '80', '10.0.0.2:80')}${dnat('tcp', '80', '10.0.0.3:80')}${dnat('tcp', '80', '[fd12::2]:80')}`
      )
    ).toEqual(TAKEN)
  })

  test.skipIf(absent(TOOLS))('leave INPUT open when one rule of firewall-start is refused', async () => {
    // The order of firewall-iptables.nix: the rules of NAT stand before the jump from INPUT, in a shell with -e.
    const { text } = await inNamespace(
      `bash -ec 'iptables -w -N nixos-fw; iptables -w -A nixos-fw -p tcp --dport 22 -j ACCEPT
${dnat('tcp', '80', '10.0.0.256:80')}iptables -w -A nixos-fw -j DROP; iptables -w -A INPUT -j nixos-fw'
iptables -w -S INPUT`
        .replaceAll("--dport '80'", '--dport 80')
        .replaceAll("-p 'tcp'", '-p tcp')
        .replaceAll("'10.0.0.256:80'", '10.0.0.256:80')
    )
    expect(text).toContain('Bad IP address')
    expect(text.trim().split('\n').at(-1)).toBe('-P INPUT ACCEPT')
  })
})

describe.concurrent('forwards of networking.nat with nftables', () => {
  const TOOLS = ['ip', 'nft']
  const refused: readonly (readonly [forwards: readonly string[], words: RegExp])[] = [
    [['tcp . 80 : 10.0.0.2 . 80', 'tcp . 80 : 10.0.0.3 . 80'], /File exists/],
    // nft 1.0.6 takes no ranges in a map.
    [
      ['tcp . 8000-8010 : 10.0.0.2 . 80', 'tcp . 8005 : 10.0.0.3 . 80'],
      /File exists|only valid after transport protocol match/
    ],
    [['tcp . 99999 : 10.0.0.2 . 80'], /Service out of range/],
    [['tcp . -1 : 10.0.0.2 . 80'], /syntax error/],
    [['tcp . 9000-8000 : 10.0.0.2 . 80'], /Range (has zero or )?negative size/],
    [['tcp . 80 : 10.0.0.2 . 99999'], /Service out of range/],
    [['tcp . 80 : 10.0.0.2 . 90-80'], /Range (has zero or )?negative size/],
    [['tcp . 80 : 10.0.0.256 . 80'], /Could not resolve hostname/],
    [['tcp/udp . 80 : 10.0.0.2 . 80'], /Could not resolve protocol name/],
    [['both . 80 : 10.0.0.2 . 80'], /Could not resolve protocol name/],
    [['Tcp . 80 : 10.0.0.2 . 80'], /Could not resolve protocol name/]
  ]
  const refusals = questions(
    'nft flush ruleset',
    refused.map(([forwards]) => dnatMap(...forwards))
  )
  for (const [i, [forwards, words]] of refused.entries())
    test.skipIf(absent(TOOLS))(`refuse ${forwards.join(', ')}`, async () => {
      expect(await refusals(i)).toEqual(refusal(words))
    })

  const taken: readonly (readonly [forwards: readonly string[], becomes: string])[] = [
    [['tcp . 80 : 10.0.0.2 . 80', 'tcp . 80 : 10.0.0.2 . 80'], '{ tcp . 80 : 10.0.0.2 . 80 }'],
    [['tcp . 80 : 10.0.0.2 . 80', 'udp . 80 : 10.0.0.2 . 80'], 'udp . 80 : 10.0.0.2 . 80'],
    [['TCP . 80 : 10.0.0.2 . 80'], 'tcp . 80'],
    [['sctp . 80 : 10.0.0.2 . 80'], 'sctp . 80'],
    [['icmp . 80 : 10.0.0.2 . 80'], 'icmp . 80'],
    [['tcp . 0 : 10.0.0.2 . 80'], 'tcp . 0'],
    [['tcp . 80 : 10.0.0.2 . 0'], '10.0.0.2 . 0'],
    [['tcp . 80 : 010.0.0.2 . 80'], '8.0.0.2 . 80']
  ]
  const rulesets = questions(
    'nft flush ruleset',
    taken.map(([forwards]) => `${dnatMap(...forwards)}nft list ruleset`)
  )
  for (const [i, [forwards, becomes]] of taken.entries())
    test.skipIf(absent(TOOLS))(`take ${forwards.join(', ')}`, async () => {
      expect((await rulesets(i)).text).toContain(becomes)
    })

  test.skipIf(absent(TOOLS))('refuse a range of open ports that runs backwards', async () => {
    expect(await inNamespace(`nft 'table inet t { chain c { tcp dport { 10-5 } accept; }; }'`)).toEqual(
      refusal(/Range (has zero or )?negative size/)
    )
  })
})

describe.concurrent('where forwarded packets end', () => {
  const TOOLS = ['ip', 'iptables', 'ip6tables', 'nsenter']
  const dead = ['127.0.0.1', '0.0.0.0', '224.0.0.5', '[::1]', '[::]', '[ff05::5]']
  const counts = questions(
    'for tool in iptables ip6tables; do for table in nat filter; do $tool -w -t $table -F; done; done',
    dead.map(address => {
      const tool = address.startsWith('[') ? 'ip6tables' : 'iptables'
      return `${tool} -w -t nat -A PREROUTING -i ve-web -p udp --dport 9 -j DNAT --to-destination '${address}:7'
for chain in INPUT FORWARD; do ${tool} -w -A $chain -p udp --dport 7; done
send web
${tool} -w -t nat -v -S PREROUTING | grep DNAT; for chain in INPUT FORWARD; do ${tool} -w -v -S $chain | grep 'dport 7'; done`
    }),
    ROUTER
  )
  for (const [i, address] of dead.entries())
    test.skipIf(absent(TOOLS))(`nothing arrives that is sent on to ${address}`, async () => {
      const { text } = await counts(i)
      expect(text.split('\n').flatMap(line => /-c (\d+)/.exec(line)?.[1] ?? [])).toEqual(['1', '0', '0'])
    })
})

const ask = async (...ports: readonly string[]): Promise<Answer> =>
  inNamespace(
    `systemd-nspawn --private-network ${ports.map(port => `--port='${port}'`).join(' ')} -D /nonexistent true`
  )

describe.concurrent('systemd-nspawn', () => {
  const TOOLS = ['ip', 'systemd-nspawn']
  for (const port of ['tcp:0:80', 'tcp:80:0', 'TCP:80:80', 'sctp:80:80'])
    test.skipIf(absent(TOOLS))(`refuses --port=${port}`, async () => {
      expect(await ask(port)).toEqual(refusal(/Failed to parse host port/))
    })

  test.skipIf(absent(TOOLS))('refuses a port twice', async () => {
    expect(await ask('tcp:80:80', 'tcp:80:81')).toEqual(refusal(/Duplicate port specification/))
  })

  test.skipIf(absent(TOOLS))('takes a port once for each protocol', async () => {
    const { text } = await ask('tcp:80:80', 'udp:80:80')
    expect(text).not.toMatch(/Failed to parse|Duplicate/)
  })
})

test('the names of long containers are those that systemd-nspawn makes', () => {
  expect(hostIfname('thirteenchars', false)).toBe('ve-thirteenZ0E2')
  expect(hostIfname('really-long-name', true)).toBe('vb-really-lE9s9')
})
