import { describe, expect, test } from 'vitest'
import { absent, inNamespace } from './judge.ts'

// What duplicate-address says of two containers on one bridge.

const TWO_ON_A_BRIDGE = `set -e
ip link add br0 type bridge
ip link set br0 up
for c in a b; do
  ip netns add $c
  ip link add vb-$c type veth peer name eth0 netns $c
  ip link set vb-$c master br0 up
  ip -n $c link set eth0 up
done
# Duplicate address detection takes about a second.
settled() {
  for i in $(seq 60); do
    ip -n $1 -6 addr show dev eth0 scope global | grep -qE 'dadfailed|global *$' && return
    sleep 0.1
  done
}
`

describe.concurrent('an address twice on a bridge', () => {
  test.skipIf(absent(['ip']))('is taken by both in IPv4', async () => {
    const { ok } = await inNamespace(
      `${TWO_ON_A_BRIDGE}for c in a b; do ip -n $c addr add 192.168.100.2/29 dev eth0; done`
    )
    expect(ok).toBe(true)
  })

  test.skipIf(absent(['ip']))('is set and not used by the later one in IPv6', async () => {
    const { ok, text } = await inNamespace(
      `${TWO_ON_A_BRIDGE}for c in a b; do ip -n $c -6 addr add fd12:3456:789a::2/64 dev eth0; settled $c; done
for c in a b; do echo $c; ip -n $c -6 addr show dev eth0 scope global; done`
    )
    expect(ok).toBe(true)
    expect(text).toMatch(/^a\n[^]*scope global *\n[^]*^b\n[^]*dadfailed/m)
  })
})
