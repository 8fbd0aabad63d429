import type { AddressText, Container, ContainerForward, Veth, Vm } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { byName, compareTexts } from '../text/order.ts'
import { HOST } from './change-host.ts'
import {
  addressValue,
  addressValues,
  compareOptions,
  type Cut,
  cutOff,
  type Difference,
  firewallOptions,
  flagValue,
  gatewayValue,
  interfaceOptions,
  isSame,
  macValue,
  natOptions,
  type Options,
  restartCommand,
  routeValues,
  shellWord,
  type Step,
  step,
  type Subject,
  type Until,
  type Value
} from './change-step.ts'
import type { Plan } from './plan.ts'

// Containers and machines of two versions. Where a container is declared with autoStart, its unit is restarted by whatever
// changes its .conf file, its scripts or its system (nixos-containers.nix: restartTriggers, restartIfChanged); also a
// change inside alone is no reload (NixOS/nixpkgs#82217). Without autoStart its unit has restartIfChanged = false.

/** What becomes of the containers. */
export interface ContainerChange {
  readonly steps: readonly Step[]
  /** Those that the switch stops or restarts, as far as the file tells. */
  readonly restarted: ReadonlySet<string>
  /** Those that go on with what they had until somebody restarts them. */
  readonly waiting: ReadonlySet<string>
}

const subjectOf = ({ name }: Container): Subject => ({ kind: 'container', name })

/** The containers that run, by name. */
export const running = ({ topology }: Plan): ReadonlyMap<string, Container> =>
  new Map(
    topology.host.enableContainers
      ? topology.containers.filter(({ enabled }) => enabled).map(container => [container.name, container])
      : []
  )

export const containerChange = (before: Plan, after: Plan): ContainerChange => {
  const [old, new_] = [running(before), running(after)]
  const steps: Step[] = []
  const restarted = new Set<string>()
  const waiting = new Set<string>()
  for (const [name, container] of old) {
    const next = new_.get(name)
    const found = next === undefined ? stopped(container) : changed(container, next)
    if (found === undefined) continue
    steps.push(found)
    if (found.effect === 'container-waits' || found.effect === 'container-built-elsewhere') waiting.add(name)
    else if (found.effect !== 'container-at-boot') restarted.add(name)
  }
  for (const [name, container] of new_) if (!old.has(name)) steps.push(added(container))
  return { steps: withDependants(before, after, steps), restarted, waiting }
}

const stopped = (container: Container): Step =>
  step('container-stopped', subjectOf(container), { cut: [cutOff(subjectOf(container), 'gone')] })

const added = (container: Container): Step => {
  const subject = subjectOf(container)
  if (container.autoStart === true) return step('container-started', subject)
  return step('container-added', subject, {
    commands: [`systemctl start ${shellWord(`container@${container.name}.service`)}`]
  })
}

const changed = (before: Container, after: Container): Step | undefined => {
  if (isSame(before, after)) return undefined
  const outer = compareOptions(new Map(outerOptions(before)), new Map(outerOptions(after)))
  const inner = compareOptions(innerOptions(before), innerOptions(after))
  const boot = compareOptions(autoStartOption(before), autoStartOption(after))
  const differences = [...boot, ...outer, ...inner]
  if (differences.length === 0) return undefined
  const subject = subjectOf(after)
  // Its own file is the same then, since it names a path or a flake and not what is built there.
  if (outer.length + boot.length === 0 && !after.checkedByNix)
    return step('container-built-elsewhere', subject, { differences, commands: [restartCommand(after.name)] })
  const { autoStart } = after
  if (outer.length + inner.length === 0 && autoStart !== true)
    return step('container-at-boot', subject, { differences })
  if (autoStart === false)
    return step('container-waits', subject, { differences, commands: [restartCommand(after.name)] })
  const cut = [cutOff(subject, 'started')]
  if (autoStart === true) return step('container-restarted', subject, { differences, cut })
  return step('container-restarted-if-started', subject, {
    differences,
    cut,
    commands: [restartCommand(after.name)]
  })
}

/** A container that is stopped or restarted: until when it is gone, and for whom. */
interface Down {
  readonly until: Until
  readonly cut: Cut[]
}

/** Those whose gateway or nameserver is a container that is stopped or restarted are without it meanwhile. */
const withDependants = (before: Plan, after: Plan, steps: readonly Step[]): readonly Step[] => {
  const down = new Map<string, Down>()
  for (const { subject, cut } of steps) {
    const [own] = cut
    if (own !== undefined) down.set(subject.name, { until: own.until, cut: [own] })
  }
  if (down.size === 0) return steps
  const needed = new Map<string, Down>()
  for (const { container, addresses } of before.links) {
    const lost = container && down.get(container.name)
    if (lost !== undefined)
      for (const { prefix } of addresses) if (prefix !== undefined) needed.set(formatAddr(prefix), lost)
  }
  const note = (who: Subject, lacks: Cut['lacks'], addresses: readonly (AddressText | undefined)[]): void => {
    const lost = new Set(addresses.map(address => address?.prefix && needed.get(formatAddr(address.prefix))))
    for (const one of lost) one?.cut.push(cutOff(who, one.until, lacks))
  }
  const { host } = before.topology
  note(HOST, 'gateway', [host.defaultGateway?.address, host.defaultGateway6?.address])
  note(HOST, 'nameserver', [...host.nameservers, ...host.resolvConf])
  for (const [name, container] of running(before)) {
    // What is gone or starts anew itself is told at its own.
    if (down.has(name)) continue
    const subject = subjectOf(container)
    note(subject, 'gateway', [container.defaultGateway?.address, container.defaultGateway6?.address])
    note(subject, 'nameserver', container.nameservers)
  }
  const stay = machines(after)
  for (const [name, { defaultGateway, defaultGateway6 }] of machines(before))
    if (stay.has(name))
      note({ kind: 'machine', name }, 'gateway', [defaultGateway?.address, defaultGateway6?.address])
  return steps.map(one => ({ ...one, cut: down.get(one.subject.name)?.cut ?? one.cut }))
}

const autoStartOption = ({ autoStart }: Container): Options =>
  new Map<string, Value>([['autoStart', flagValue(autoStart)]])

/** What of a container is in its .conf file and in the scripts of its unit. */
function* outerOptions(container: Container): Generator<readonly [string, Value]> {
  const { veth, extraVeths } = container
  yield ['privateNetwork', flagValue(container.privateNetwork)]
  // Without it nothing of these reaches systemd-nspawn.
  if (container.privateNetwork) {
    yield* vethOptions('', veth)
    yield ['localMacAddress', veth.localMacAddress && macValue(veth.localMacAddress)]
    yield ['forwardPorts', veth.forwardPorts.map(forwardValue)]
  }
  for (const extra of byIfname(extraVeths)) {
    yield [`extraVeths.${extra.ifname}`, 'made']
    yield* vethOptions(`extraVeths.${extra.ifname}.`, extra)
  }
  yield ['interfaces', container.interfaces.map(({ name }) => name)]
  yield ['macvlans', container.macvlans.map(({ name }) => name)]
  yield ['networkNamespace', container.namespacePath]
  yield ['extraFlags', container.extraFlags.map(({ name }) => name)]
  yield ['copyResolvConf', container.copyResolvConf ? undefined : 'false']
  yield ['privateUsers', container.privateUsers === undefined ? undefined : String(container.privateUsers)]
  yield ['enableTun', container.enableTun ? 'true' : undefined]
  yield ['additionalCapabilities', container.additionalCapabilities]
  yield ['path or flake', container.checkedByNix ? undefined : 'in place of config']
}

function* vethOptions(prefix: string, veth: Veth): Generator<readonly [string, Value]> {
  yield [`${prefix}hostBridge`, veth.hostBridge]
  for (const option of ['hostAddress', 'localAddress', 'hostAddress6', 'localAddress6'] as const) {
    const address = veth[option]
    yield [`${prefix}${option}`, address && addressValue(address)]
  }
}

const forwardValue = ({ protocol, hostPort, containerPort }: ContainerForward): string =>
  `${protocol.text} ${hostPort ?? 'auto'} to ${containerPort ?? hostPort ?? 'the same'}`

/** What is the container's own configuration: its system is built of it. */
const innerOptions = (container: Container): Options => {
  const { inside, vpn } = container
  const options = new Map<string, Value>([
    ['useNetworkd', container.useNetworkd ? 'true' : undefined],
    ['networkManager', container.networkManager ? 'true' : undefined],
    ['defaultGateway', gatewayValue(container.defaultGateway)],
    ['defaultGateway6', gatewayValue(container.defaultGateway6)],
    ['routes', routeValues(container.routes)],
    ['dhcp', container.dhcp ? 'true' : undefined],
    ['acceptRA', flagValue(container.acceptRA)],
    ['nameservers', addressValues(container.nameservers)],
    ['useHostResolvConf', flagValue(container.useHostResolvConf)],
    ['resolved', container.resolved ? 'true' : undefined],
    ...firewallOptions(container.firewall),
    [
      'listens',
      container.listens.map(({ name, port, protocol, address }) =>
        [
          ...(name === undefined ? [] : [name]),
          `${protocol.text} ${port}`,
          ...(address === undefined ? [] : [`at ${addressValue(address)}`])
        ].join(' ')
      )
    ],
    ['virtualAddresses', addressValues(container.virtualAddresses)],
    [
      'vpn',
      vpn &&
        [vpn.name ?? 'a VPN', vpn.interface ?? '', vpn.defaultRoute ? 'for everything' : '']
          .join(' ')
          .trimEnd()
    ]
  ])
  for (const [option, value] of natOptions(inside.nat)) options.set(`inside.${option}`, value)
  for (const card of byName(inside.interfaces))
    for (const [option, value] of interfaceOptions(`inside.interfaces.${card.name}`, card))
      options.set(option, value)
  for (const { name, interfaces, addresses } of byName(inside.bridges)) {
    options.set(
      `inside.bridges.${name}.interfaces`,
      interfaces.map(({ name }) => name)
    )
    options.set(`inside.bridges.${name}.address`, addressValues(addresses))
    options.set(`inside.bridges.${name}`, 'made')
  }
  for (const { name, id, interface: parent } of byName(inside.vlans))
    options.set(`inside.vlans.${name}`, `${id} on ${parent.name}`)
  return options
}

const byIfname = (veths: readonly Veth[]): readonly Veth[] =>
  [...veths].sort((a, b) => compareTexts(a.ifname, b.ifname))

/** The virtual machines that are switched on, by name. */
export const machines = ({ topology }: Plan): ReadonlyMap<string, Vm> =>
  new Map(topology.vms.filter(({ enabled }) => enabled).map(vm => [vm.name, vm]))

/** How their own system takes a change is not NixOS's affair here. */
export const machineSteps = (before: Plan, after: Plan): readonly Step[] => {
  const [old, new_] = [machines(before), machines(after)]
  const steps: Step[] = []
  for (const [name, vm] of old) {
    const next = new_.get(name)
    const subject: Subject = { kind: 'machine', name }
    if (next === undefined) steps.push(step('machine-removed', subject, { cut: [cutOff(subject, 'gone')] }))
    else {
      const differences: readonly Difference[] = compareOptions(machineOptions(vm), machineOptions(next))
      if (differences.length > 0) steps.push(step('machine-changed', subject, { differences }))
    }
  }
  for (const name of new_.keys())
    if (!old.has(name)) steps.push(step('machine-added', { kind: 'machine', name }))
  return steps
}

const machineOptions = ({ kind, interfaces, defaultGateway, defaultGateway6 }: Vm): Options => {
  const options = new Map<string, Value>([
    ['kind', kind],
    ['defaultGateway', gatewayValue(defaultGateway)],
    ['defaultGateway6', gatewayValue(defaultGateway6)]
  ])
  for (const { name, type, hostBridge, macAddress, addresses } of byName(interfaces)) {
    options.set(`interfaces.${name}.type`, type)
    options.set(`interfaces.${name}.hostBridge`, hostBridge)
    options.set(`interfaces.${name}.macAddress`, macAddress && macValue(macAddress))
    options.set(`interfaces.${name}.address`, addressValues(addresses))
  }
  return options
}
