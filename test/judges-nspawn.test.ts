import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { absent, inNamespace, questions } from './judge.ts'

// What the rules say of extraFlags, and of forwards to services on loopback, asked of systemd-nspawn and of the kernel.

/** Flags of extraFlags, under these options of the container. */
const FLAGS: readonly (readonly string[])[] = [
  ['--network=host'],
  ['--network'],
  ['--net=none'],
  ['--network-v'],
  ['--networks=host'],
  ['--ports=80'],
  ['--private-network=no'],
  ['--network-veth=yes'],
  ['--network-veth', '--port=80', '--port=tcp:80:81'],
  ['--network-veth', '--port=80', '--port=udp:80'],
  ['--network-veth', '--port=127.0.0.1:80:80'],
  ['--network-veth', '--port=80/tcp'],
  ['--network-veth', '--port=TCP:80'],
  ['--network-veth', '--port=080'],
  ['--network-veth', '--port=0x50'],
  ['--network-veth', '--port=80-90'],
  ['--network-veth', '--port=65536'],
  ['--network-veth', '--port=tcp:80:0'],
  ['--network-veth', '--port='],
  ['--port=80'],
  ['--port', '80'],
  ['--po=80', '--network-z=lan'],
  ['--private-network', '--port=80'],
  ['--network-veth-extra=ve-x:lan', '--port=80'],
  ['--network-namespace-path=/run/netns/x', '--port=80'],
  ['--network-namespace-path=/run/netns/x', '--network-zone=lan'],
  ['--network-namespace-path=/run/netns/x', '--private-network'],
  ['--network-bridge=br0', '--network-zone=lan'],
  ['--network-bridge=sixteencharsxxxx'],
  ['--network-bridge', 'br0'],
  ['--network-b=br0'],
  ['--network-zone=thirteenchars'],
  ['--network-zone=twelvecharsx'],
  ['--network-zone']
]

describe.concurrent('extraFlags', () => {
  const answer = questions(
    '',
    // The directory is looked at when the flags have been taken.
    FLAGS.map(flags => `systemd-nspawn -M web -D /nonexistent ${flags.join(' ')} /init`)
  )
  for (const [i, flags] of FLAGS.entries())
    test.skipIf(absent(['systemd-nspawn']))(`${flags.join(' ')} is judged alike`, async () => {
      const { text } = await answer(i)
      const { report } = await analyze({
        file: 'topology.json',
        text: JSON.stringify({
          version: 1,
          host: { partial: true },
          containers: { web: { extraFlags: flags } }
        })
      })
      const found = report.findings.find(({ rule }) => rule === 'refused-extra-flag')
      const said = /it says "(.*)", and/.exec(found?.note ?? '')?.[1]
      if (found === undefined) expect(text).toMatch(/nonexistent/)
      else expect(text).not.toMatch(/nonexistent/)
      if (said !== undefined) expect(text).toContain(said)
    })

  test.skipIf(absent(['ip', 'systemd-nspawn']) || process.getuid?.() !== 0)(
    '--network-bridge beside --network-veth makes vb-NAME, and the last bridge counts',
    async () => {
      const { text } = await inNamespace(`root=$(mktemp -d /run/XXXXXX); cd "$root"; mkdir usr etc
for folder in bin sbin lib lib64; do [ -e /$folder ] && ln -s usr/$folder $folder; done; touch etc/os-release
for name in br0 br1; do ip link add $name type bridge; ip link set $name up; done
timeout 10 systemd-nspawn -q --register=no --keep-unit --as-pid2 -D $root --bind-ro=/usr -M web \
  --network-veth --network-bridge=br0 --network-bridge=br1 sleep 5 </dev/null &
for i in $(seq 100); do ip link show vb-web >/dev/null 2>&1 && break; sleep 0.05; done; sleep 0.1
ip -o link show master br0; ip -o link show master br1; ip link set dev ve-web up; kill %1`)
      expect(text).toMatch(/vb-web.*master br1/)
      expect(text).not.toMatch(/master br0/)
      expect(text).toContain('Cannot find device "ve-web"')
    }
  )
})

describe.concurrent('a forward', () => {
  const TOOLS = ['ip', 'nft', 'nsenter']
  /** The host with a container, where a service listens on loopback or not, and a machine outside that connects. */
  const NETWORK = `for name in web far; do ip netns add $name; ip link add ve-$name type veth peer name eth0 netns $name
ip link set ve-$name up; ip -n $name link set lo up; ip -n $name link set eth0 up; done
ip addr add 10.0.0.1/24 dev ve-web; ip -6 addr add fd12::1/64 dev ve-web nodad
ip -n web addr add 10.0.0.2/24 dev eth0; ip -n web -6 addr add fd12::2/64 dev eth0 nodad
ip addr add 192.0.2.1/24 dev ve-far; ip -6 addr add fd13::1/64 dev ve-far nodad
ip -n far addr add 192.0.2.2/24 dev eth0; ip -n far -6 addr add fd13::2/64 dev eth0 nodad
ip -n web route add default via 10.0.0.1; ip -n web -6 route add default via fd12::1
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
for try in $(seq 100); do { ip -6 addr show tentative; ip -n web -6 addr show tentative; ip -n far -6 addr show tentative; } | grep -q . || break; sleep 0.05; done
forward() { nft flush ruleset; nft "table inet n { chain pre { type nat hook prerouting priority -100; tcp dport 8080 dnat $1; }; chain out { type nat hook output priority -100; tcp dport 8080 dnat $1; }; }"; }
listen() { $1 '${process.execPath}' -e 'require("net").createServer().listen({ port: Number(process.argv[1]), host: process.argv[2] }, () => require("fs").writeFileSync("/run/up", ""))' $2 $3 & while [ ! -e /run/up ]; do sleep 0.02; done; rm /run/up; }
connect() { $1 '${process.execPath}' -e 'const s = require("net").connect({ port: 8080, host: process.argv[1], timeout: 800 }); const end = said => { console.log(said); process.exit() }; s.on("connect", () => end("reached")).on("error", e => end(e.code)).on("timeout", () => end("lost"))' $2; }
web='nsenter --net=/run/netns/web'; far='nsenter --net=/run/netns/far'
`
  test.skipIf(absent(TOOLS))('to a service on loopback is refused', async () => {
    const { text } = await inNamespace(`${NETWORK}
listen "$web" 80 127.0.0.1; listen "$web" 81 ::1; listen "$web" 82 10.0.0.2; listen "$web" 83 fd12::2
for port in 80 82; do forward "ip to 10.0.0.2:$port"; connect "$far" 192.0.2.1; connect '' 192.0.2.1; done
for port in 81 83; do forward "ip6 to [fd12::2]:$port"; connect "$far" fd13::1; connect '' fd13::1; done`)
    const [refused, reached] = ['ECONNREFUSED\n'.repeat(2), 'reached\n'.repeat(2)]
    expect(text).toBe(refused + reached + refused + reached)
  })

  test.skipIf(absent(TOOLS))('to 127.0.0.1 is lost, unless route_localnet is set', async () => {
    const { text } = await inNamespace(`${NETWORK}
listen '' 80 127.0.0.1; forward 'ip to 127.0.0.1:80'; connect "$far" 192.0.2.1
echo 1 > /proc/sys/net/ipv4/conf/ve-far/route_localnet; connect "$far" 192.0.2.1`)
    expect(text).toBe('lost\nreached\n')
  })
})
