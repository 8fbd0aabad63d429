import type { Container, ContainerForward, Veth, Vm } from '../model/topology.ts'
import { type Addr, formatAddr } from '../net/addr.ts'
import {
  addressValue,
  addressValues,
  byNames,
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
  type Value
} from './change-step.ts'
import type { Plan } from './plan.ts'

// Containers and machines of two versions. Where a container is declared with autoStart, its unit is restarted by whatever
// changes its .conf file, its scripts or its system (nixos-containers.nix: restartTriggers, restartIfChanged); also a
// change inside alone is no reload (NixOS/nixpkgs#82217). Without autoStart its unit has restartIfChanged = false.

/** Whether the switch restarts a container that has changed: `unsaid` where that hangs on an autoStart that is not in the file. */
type Start = 'yes' | 'no' | 'unsaid'

const startOf = ({ autoStart }: Container): Start =>
  autoStart === undefined ? 'unsaid' : autoStart ? 'yes' : 'no'

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
  return { steps: withDependants(before, old, new_, steps), restarted, waiting }
}

const stopped = (container: Container): Step =>
  step('container-stopped', subjectOf(container), { cut: [cutOff(subjectOf(container), 'gone')] })

const added = (container: Container): Step => {
  const subject = subjectOf(container)
  if (startOf(container) === 'yes') return step('container-started', subject)
  return step('container-added', subject, {
    commands: [`systemctl start ${shellWord(`container@${container.name}.service`)}`]
  })
}

const changed = (before: Container, after: Container): Step | undefined => {
  if (isSame(before, after)) return undefined
  const outer = compareOptions(new Map(outerOptions(before)), new Map(outerOptions(after)))
  const inner = compareOptions(innerOptions(before), innerOptions(after))
  const start = startOf(after)
  const boot = compareOptions(autoStartOption(before), autoStartOption(after))
  const differences = [...boot, ...outer, ...inner]
  if (differences.length === 0) return undefined
  const subject = subjectOf(after)
  // Its own file is the same then, since it names a path or a flake and not what is built there.
  if (outer.length + boot.length === 0 && !after.checkedByNix)
    return step('container-built-elsewhere', subject, { differences, commands: [restartCommand(after.name)] })
  if (start === 'no')
    return outer.length + inner.length === 0
      ? step('container-at-boot', subject, { differences })
      : step('container-waits', subject, { differences, commands: [restartCommand(after.name)] })
  const cut = [cutOff(subject, 'started')]
  if (start === 'yes') return step('container-restarted', subject, { differences, cut })
  if (outer.length + inner.length === 0) return step('container-at-boot', subject, { differences })
  return step('container-restarted-if-started', subject, {
    differences,
    cut,
    commands: [restartCommand(after.name)]
  })
}

/** Those whose gateway or nameserver is a container that is stopped or restarted are without it meanwhile. */
const withDependants = (
  before: Plan,
  old: ReadonlyMap<string, Container>,
  new_: ReadonlyMap<string, Container>,
  steps: readonly Step[]
): readonly Step[] => {
  const down = new Map(
    steps.filter(({ cut }) => cut.length > 0).map(({ subject: { name }, effect }) => [name, effect])
  )
  if (down.size === 0) return steps
  const addresses = new Map<string, string>()
  for (const name of down.keys()) {
    const container = old.get(name)
    for (const link of (container && before.linksOf.get(container)) ?? [])
      for (const { prefix } of link.addresses)
        if (prefix !== undefined) addresses.set(formatAddr(prefix), name)
  }
  if (addresses.size === 0) return steps
  const cuts = new Map<string, Cut[]>()
  const note = (who: Container, lacks: Cut['lacks'], addr: Addr | undefined): void => {
    const name = addr === undefined ? undefined : addresses.get(formatAddr(addr))
    if (name === undefined || name === who.name) return
    const known = cuts.get(name) ?? []
    cuts.set(name, known)
    const until = new_.has(name) ? 'started' : 'gone'
    if (!known.some(({ who: { name }, ...other }) => name === who.name && other.lacks === lacks))
      known.push(cutOff(subjectOf(who), until, lacks))
  }
  for (const [name, container] of old) {
    // What is gone or starts anew itself is told at its own.
    if (down.has(name) || !new_.has(name)) continue
    note(container, 'gateway', container.defaultGateway?.address.prefix)
    note(container, 'gateway', container.defaultGateway6?.address.prefix)
    for (const { prefix } of container.nameservers) note(container, 'nameserver', prefix)
  }
  return steps.map(one =>
    cuts.has(one.subject.name) && one.cut.length > 0
      ? { ...one, cut: [...one.cut, ...(cuts.get(one.subject.name) ?? [])] }
      : one
  )
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
  for (const card of byNames(inside.interfaces))
    for (const [option, value] of interfaceOptions(`inside.interfaces.${card.name}`, card))
      options.set(option, value)
  for (const { name, interfaces, addresses } of byNames(inside.bridges)) {
    options.set(
      `inside.bridges.${name}.interfaces`,
      interfaces.map(({ name }) => name)
    )
    options.set(`inside.bridges.${name}.address`, addressValues(addresses))
    options.set(`inside.bridges.${name}`, 'made')
  }
  for (const { name, id, interface: parent } of byNames(inside.vlans))
    options.set(`inside.vlans.${name}`, `${id} on ${parent.name}`)
  return options
}

const byIfname = (veths: readonly Veth[]): readonly Veth[] =>
  veths.length < 2 ? veths : [...veths].sort((a, b) => (a.ifname < b.ifname ? -1 : 1))

/** Virtual machines: how their own system takes a change is not NixOS's affair here. */
export const machineSteps = (before: Plan, after: Plan): readonly Step[] => {
  const enabled = ({ topology }: Plan): ReadonlyMap<string, Vm> =>
    new Map(topology.vms.filter(({ enabled }) => enabled).map(vm => [vm.name, vm]))
  const [old, new_] = [enabled(before), enabled(after)]
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
  for (const { name, type, hostBridge, macAddress, addresses } of byNames(interfaces)) {
    options.set(`interfaces.${name}.type`, type)
    options.set(`interfaces.${name}.hostBridge`, hostBridge)
    options.set(`interfaces.${name}.macAddress`, macAddress && macValue(macAddress))
    options.set(`interfaces.${name}.address`, addressValues(addresses))
  }
  return options
}
