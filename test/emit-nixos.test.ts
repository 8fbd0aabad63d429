import { describe, expect, test } from 'vitest'
import type { Plan } from '../src/index.ts'
import { formatAddr } from '../src/net/addr.ts'
import { formatPrefix } from '../src/net/prefix.ts'
import { emitted, goldens, planOf } from './golden.ts'
import { type Evaluation, evalModule, evalModules, type Json, parseNix, withoutNix } from './nix.ts'

// Generated modules under the real nix-instantiate: they parse, they set options that exist to values of their types, and
// what comes out is the plan; beside a user's own configuration they set nothing that is not network.

const SKIP = withoutNix()

const moduleOf = async (topology: string): Promise<{ plan: Plan; text: string }> => {
  const plan = await planOf(topology)
  const { files, refused } = emitted(plan, 'nixos')
  expect(refused).toEqual([])
  return { plan, text: files['network.nix'] ?? '' }
}

const at = (value: Json | undefined, ...steps: readonly string[]): Json | undefined =>
  steps.reduce<Json | undefined>(
    (inner, step) =>
      // JSON of a set.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? (inner as { [name: string]: Json })[step]
        : undefined,
    value
  )

const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : [])

/** The addresses that a module gives an interface of the host, by systemd.network or networking.interfaces. */
const addressesOf = (config: Json, ifname: string): string[] => {
  const networks = Object.values(
    (at(config, 'systemd', 'network', 'networks') ?? {}) as { [name: string]: Json }
  )
  const own = networks.filter(network => at(network, 'matchConfig', 'Name') === ifname)
  const scripted = ['ipv4', 'ipv6'].flatMap(family =>
    list(at(config, 'networking', 'interfaces', ifname, family, 'addresses'))
  )
  return [
    ...own.flatMap(network => list(at(network, 'address')).map(String)),
    ...scripted.map(
      entry =>
        `${JSON.stringify(at(entry, 'address')).slice(1, -1)}/${JSON.stringify(at(entry, 'prefixLength'))}`
    )
  ]
}

const configOf = (evaluation: Evaluation): Json => {
  expect(evaluation).not.toHaveProperty('faults')
  return 'config' in evaluation ? evaluation.config : {}
}

describe.each(goldens)('$name', golden => {
  test.skipIf(SKIP)('parses', async () => {
    const { text } = await moduleOf(golden.topology)
    expect(await parseNix({ 'network.nix': text })).toEqual({})
  })

  test.skipIf(SKIP)('is what the plan says', async () => {
    const { plan, text } = await moduleOf(golden.topology)
    const { topology } = plan
    const config = configOf(await evalModule(text, { release: topology.host.release ?? '26.05' }))
    const byHand = new Set(topology.host.networkd?.netdevs.map(({ name }) => name?.text))
    for (const { bridge } of plan.bridges.values()) {
      if (byHand.has(bridge.name)) continue
      const written = bridge.addresses.flatMap(({ prefix }) =>
        prefix === undefined ? [] : [formatPrefix(prefix)]
      )
      expect([bridge.name, addressesOf(config, bridge.name).toSorted()]).toEqual([
        bridge.name,
        written.toSorted()
      ])
    }
    const enabled = topology.containers.filter(container => container.enabled)
    expect(Object.keys((at(config, 'containers') ?? {}) as object).toSorted()).toEqual(
      enabled.map(({ name }) => name).toSorted()
    )
    for (const { name, privateNetwork, veth, firewall, nameservers } of enabled) {
      const own = at(config, 'containers', name)
      expect([name, at(own, 'privateNetwork'), at(own, 'hostBridge')]).toEqual([
        name,
        privateNetwork,
        veth.hostBridge
      ])
      for (const option of ['localAddress', 'localAddress6', 'hostAddress', 'hostAddress6'] as const) {
        const { prefix, bare = false } = veth[option] ?? {}
        const expected = prefix === undefined ? undefined : bare ? formatAddr(prefix) : formatPrefix(prefix)
        expect([name, option, at(own, option)]).toEqual([name, option, expected])
      }
      const open = list(at(own, 'config', 'networking', 'firewall', 'allowedTCPPorts'))
      expect([name, open]).toEqual([
        name,
        firewall.open.tcp.filter(({ from, to }) => from === to).map(({ from }) => from)
      ])
      expect(list(at(own, 'config', 'networking', 'nameservers'))).toEqual(
        nameservers.map(({ text }) => text)
      )
    }
    const { nat } = topology
    expect(at(config, 'networking', 'nat', 'enable')).toBe(nat?.enable)
    if (nat !== undefined)
      for (const link of plan.links) {
        const names = list(at(config, 'networking', 'nat', 'internalInterfaces'))
        const entry = link.bridgeName ?? link.hostIfname
        if (link.kind === 'veth')
          expect([entry, names.includes(entry)]).toEqual([entry, plan.nat.matches(entry)])
      }
  })
})

test.skipIf(SKIP)("it merges with the user's own containers, and sets nothing of theirs", async () => {
  const { topology } = goldens.find(({ name }) => name === 'example-two-containers') ?? { topology: '' }
  const { text } = await moduleOf(topology)
  const own = `{ config, lib, pkgs, ... }: {
    networking.hostName = "box";
    networking.firewall.allowedTCPPorts = [ 443 ];
    system.stateVersion = "25.11";
    containers.containerA = {
      autoStart = true;
      ephemeral = true;
      bindMounts."/etc/key" = { hostPath = "/etc/key"; isReadOnly = true; };
      config = { config, lib, ... }: {
        system.stateVersion = "25.11";
        networking.firewall.allowedTCPPorts = [ 8080 ];
        services.httpd.enable = true;
      };
    };
  }`
  const [alone, merged] = await evalModules([text, [text, { text: own, roots: 'any' }]], { release: '25.11' })
  if (alone === undefined || merged === undefined) throw new Error('no evaluation')
  const [ours, both] = [configOf(alone), configOf(merged)]
  expect(
    list(at(both, 'networking', 'firewall', 'allowedTCPPorts'))
      .map(Number)
      .toSorted((a, b) => a - b)
  ).toEqual([22, 443])
  expect(at(both, 'containers', 'containerA', 'autoStart')).toBe(true)
  expect(at(both, 'containers', 'containerA', 'localAddress')).toBe('192.168.100.2/29')
  expect(at(both, 'containers', 'containerA', 'config', 'services', 'httpd', 'enable')).toBe(true)
  expect(
    list(at(both, 'containers', 'containerA', 'config', 'networking', 'firewall', 'allowedTCPPorts'))
  ).toEqual([8080])
  // Nothing but network, at the top and inside.
  expect(Object.keys(ours as object).toSorted()).toEqual(['containers', 'networking', 'services', 'systemd'])
  expect(at(ours, 'services')).toEqual({ resolved: { enable: false } })
  expect(Object.keys(at(ours, 'containers', 'containerA') as object).toSorted()).toEqual([
    'config',
    'hostBridge',
    'localAddress',
    'privateNetwork'
  ])
})

test.skipIf(SKIP)(
  "a resolver that the user has turned on stays on, and systemd.network's default does not turn one on",
  async () => {
    const { topology } = goldens.find(({ name }) => name === 'example-two-containers') ?? { topology: '' }
    const { text } = await moduleOf(topology)
    const [byDefault, byHand] = await evalModules([
      [text, { text: '{ lib, ... }: { services.resolved.enable = lib.mkDefault true; }', roots: 'any' }],
      [text, { text: '{ services.resolved.enable = true; }', roots: 'any' }]
    ])
    expect(at(configOf(byDefault ?? { faults: [] }), 'services', 'resolved', 'enable')).toBe(false)
    expect(at(configOf(byHand ?? { faults: [] }), 'services', 'resolved', 'enable')).toBe(true)
  }
)

test.skipIf(SKIP)('the judge can say no', async () => {
  const { topology } = goldens.find(({ name }) => name === 'example-two-containers') ?? { topology: '' }
  const { text } = await moduleOf(topology)
  const evaluated = await evalModules([
    text.replace('localAddress', 'localAdress'),
    text.replace('IPv6AcceptRA', 'IPv6AcceptRa'),
    text.replace('allowedTCPPorts = [ 22 ]', 'allowedTCPPorts = [ "22" ]')
  ])
  expect(evaluated.map(evaluation => 'faults' in evaluation && evaluation.faults.length > 0)).toEqual([
    true,
    true,
    true
  ])
  expect(await parseNix({ 'network.nix': text.replace('};', '}') })).toHaveProperty(['network.nix'])
})
