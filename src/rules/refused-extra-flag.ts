import type { Problem } from '../findings/finding.ts'
import type { Container } from '../model/topology.ts'
import { IFNAME_MAX, hostIfname, ifnameFault } from '../net/ifname.ts'
import { hasVeth, vethOptions } from '../plan/links.ts'
import { type NetworkFlag, makesPrivate, networkFlags, optionOf } from '../plan/nspawn.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed, nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** systemd-nspawn(1) and its src/nspawn/nspawn.c: parse_argv, verify_arguments. */
export const refusedExtraFlag: Rule = {
  id: 'refused-extra-flag',
  group: 'containers',
  severity: 'error',
  summary: 'systemd-nspawn refuses a network flag of extraFlags, or it fights with the options.',
  *check(plan) {
    for (const container of plan.topology.having.extraFlags) {
      if (!container.enabled) continue
      const flags = networkFlags(container)
      const all: All = { plan, container, flags, taken: forwarded(container) }
      for (const flag of flags) {
        const problem =
          misspelt(all, flag) ?? misvalued(all, flag) ?? combined(all, flag) ?? overridden(all, flag)
        if (problem !== undefined) yield problem
      }
    }
  }
}

interface All {
  readonly plan: Plan
  readonly container: Container
  readonly flags: readonly NetworkFlag[]
  /** The ports that are forwarded already, each with its place. */
  readonly taken: Map<string, Path>
}

const forwarded = ({ privateNetwork, veth }: Container): Map<string, Path> =>
  new Map(
    privateNetwork
      ? veth.forwardPorts.map(({ at, protocol, hostPort }) => [`${protocol.text}:${hostPort}`, at])
      : []
  )

const refusal = (
  { container: { name } }: All,
  { at, text }: NetworkFlag,
  why: string,
  label: string,
  said: string,
  help: string
): Problem => ({
  message: `systemd-nspawn refuses the flag ${text} of container "${name}": ${why}`,
  labels: [{ at, text: label }],
  note: `it says "${said}", and container@${name}.service fails: the container never starts`,
  help
})

/** A name that stands for no option or for several, and a value too many or too few. */
const misspelt = (all: All, flag: NetworkFlag): Problem | undefined => {
  const { text, name, options, value, fault } = flag
  const [option = '', ...others] = options
  const written = text.split(/\s/, 1)[0]
  if (others.length > 0)
    return refusal(
      all,
      flag,
      `--${name} is the beginning of ${options.length} options`,
      'which of them?',
      `option '${written}' is ambiguous`,
      meant(all, flag)
    )
  if (option === '') {
    const near = nearest(name, [
      'private-network',
      'network-veth',
      'network-bridge',
      'network-zone',
      'network-interface',
      'network-macvlan',
      'network-namespace-path',
      'port'
    ])
    return refusal(
      all,
      flag,
      `it has no option --${name}`,
      near === undefined ? 'no such option' : `did you mean --${near}?`,
      `unrecognized option '${written}'`,
      near === undefined ? meant(all, flag) : `write --${near}${value === undefined ? '' : `=${value}`}`
    )
  }
  if (fault === 'value')
    return refusal(
      all,
      flag,
      `--${option} takes no value`,
      'a value too many',
      `option '--${option}' doesn't allow an argument`,
      option !== 'private-network'
        ? `write --${option}`
        : /^(no|false|0|off)$/.test(value ?? '')
          ? "remove it; without privateNetwork a container is in the host's network"
          : 'remove it, and write privateNetwork: true'
    )
  if (fault === 'no-value')
    return {
      ...refusal(
        all,
        flag,
        `--${option} needs a value`,
        'no value',
        '',
        `write --${option}=${EXAMPLES[option] ?? 'NAME'}`
      ),
      note: `it takes the next word of its command line for the value, which is the container's init: container@${all.container.name}.service fails, and the container never starts`
    }
  return undefined
}

const EXAMPLES: Readonly<Record<string, string>> = {
  port: 'tcp:8080:80',
  'network-namespace-path': '/run/netns/NAME'
}

/** What somebody may have meant by --network=…, which docker and podman have. */
const meant = ({ plan, container }: All, { value = '' }: NetworkFlag): string => {
  const { privateNetwork, veth } = container
  const own = [...(privateNetwork ? ['privateNetwork'] : []), ...vethOptions(veth)]
  if (value === 'host')
    return own.length === 0
      ? "remove it: without privateNetwork a container is in the host's network"
      : `remove it; if the container should be in the host's network, remove ${listed(own)} too, and else keep ${own.length === 1 ? 'it' : 'them'}`
  if (value === 'none') return 'remove it, and write privateNetwork: true alone'
  if (plan.bridges.has(value)) return `remove it, and write privateNetwork: true and hostBridge: ${value}`
  return 'write the whole name, such as --network-veth or --network-bridge=br0; or remove it and use privateNetwork, hostBridge and hostAddress'
}

/** `[PROTOCOL:]HOST[:CONTAINER]`, expose_port_parse of systemd's src/nspawn/nspawn-expose-ports.c. */
const PORTS = /^(?:(tcp|udp):)?(\+?[1-9]\d*|0x[\da-fA-F]+)(?::(\+?[1-9]\d*|0x[\da-fA-F]+))?$/

const misvalued = (all: All, flag: NetworkFlag): Problem | undefined => {
  const option = optionOf(flag)
  const { value = '', at } = flag
  if (option === 'port') {
    const [matched, protocol = 'tcp', host = '', inside = host] = PORTS.exec(value) ?? []
    if (matched === undefined || Number(host) > 65535 || Number(inside) > 65535)
      return refusal(
        all,
        flag,
        `${value === '' ? 'an empty value' : value} is not [tcp:|udp:]HOSTPORT[:CONTAINERPORT]`,
        'no such port',
        `Failed to parse host port ${value}`,
        portHelp(value)
      )
    const key = `${protocol}:${Number(host)}`
    const earlier = all.taken.get(key)
    if (earlier !== undefined) {
      const problem = refusal(
        all,
        flag,
        `${protocol} ${host} is forwarded already`,
        'again',
        `Duplicate port specification: ${value}`,
        'remove one of the two'
      )
      return { ...problem, labels: [problem.labels[0], { at: earlier, text: 'forwarded here' }] }
    }
    all.taken.set(key, at)
    return undefined
  }
  const [kind, ifname] =
    option === 'network-bridge'
      ? (['Bridge interface name', value] as const)
      : option === 'network-zone'
        ? (['Network zone name', `vz-${value}`] as const)
        : ([] as const)
  if (kind === undefined || value.includes('$')) return undefined
  const bad = ifnameFault(ifname)
  return bad === undefined
    ? undefined
    : refusal(
        all,
        flag,
        `${value === '' ? 'an empty name' : `"${ifname}"`} is no name for a bridge`,
        bad,
        `${kind} not valid: ${ifname}`,
        option === 'network-zone'
          ? `write a name of at most ${IFNAME_MAX - 3} letters`
          : 'write the name of a bridge of the host, best as hostBridge'
      )
}

/** An address before the ports, which docker takes. */
const ADDRESS = /^(?:tcp:|udp:)?(?:\[[\da-f:]*\]:|\d+(?:\.\d+){3}:|[\da-f]*:[\da-f:]*:(?=\d+:\d+$))/i

const portHelp = (value: string): string => {
  if (/\d-\d/.test(value))
    return 'write an entry of forwardPorts for each port; systemd-nspawn knows no ranges'
  const [host = 0, inside = host] = (value.replace(ADDRESS, '').match(/\d+/g) ?? []).slice(-2).map(Number)
  const isPort = (port: number): boolean => port > 0 && port < 65536
  const ports =
    isPort(host) && isPort(inside)
      ? `hostPort: ${host}${inside === host ? '' : `, containerPort: ${inside}`}`
      : 'hostPort: 8080, containerPort: 80'
  const protocol = /udp/i.test(value) ? ', protocol: udp' : ''
  return `write forwardPorts: [{ ${ports}${protocol} }] instead${ADDRESS.test(value) ? '; a forward of systemd-nspawn is for every address of the host, and cannot be for one' : ''}`
}

/** The other options that make or move interfaces. */
const INTERFACES = ['extraVeths', 'interfaces', 'macvlans'] as const

/** Flags that exclude each other, or options. */
const combined = (all: All, flag: NetworkFlag): Problem | undefined => {
  const option = optionOf(flag)
  const { container, flags } = all
  const { privateNetwork, networkNamespace, partial } = container
  const isNamespace = (other: NetworkFlag): boolean => optionOf(other) === 'network-namespace-path'
  if (option === 'port') {
    const isPrivate =
      privateNetwork ||
      INTERFACES.some(name => container[name].length > 0) ||
      flags.some(other => makesPrivate(other) && !isNamespace(other))
    if (isPrivate || partial) return undefined
    const given = networkNamespace || flags.some(isNamespace)
    return refusal(
      all,
      flag,
      given
        ? 'the container runs in a namespace that is made elsewhere'
        : "the container is in the host's network",
      'nothing to forward to',
      'Cannot use --port= without private networking.',
      given
        ? 'remove it, and forward with nat.forwardPorts to an address of the namespace'
        : 'remove it: what the container listens on is a port of the host already; or write privateNetwork: true, hostAddress and localAddress, and forwardPorts instead of the flag'
    )
  }
  if (option === 'network-namespace-path') {
    const others = [
      ...(hasVeth(container) ? vethOptions(container.veth) : []),
      ...INTERFACES.filter(name => container[name].length > 0),
      ...flags.filter(isInterface).map(({ text }) => text)
    ]
    if (others.length === 0) return undefined
    return refusal(
      all,
      flag,
      `it excludes ${listed(others)}`,
      'the network is this namespace, as it is',
      '--network-namespace-path= cannot be combined with other network options.',
      `remove ${listed(others)} and set up the namespace itself, or remove the flag`
    )
  }
  if (isInterface(flag) && networkNamespace)
    return refusal(
      all,
      flag,
      'networkNamespace excludes it',
      'the network is a namespace that is there already',
      '--network-namespace-path= cannot be combined with other network options.',
      'remove the flag and set up the namespace itself, or remove networkNamespace'
    )
  if (option !== 'network-zone') return undefined
  const bridge = bridgeOf(container) ?? flags.find(other => optionOf(other) === 'network-bridge')?.text
  return bridge === undefined
    ? undefined
    : refusal(
        all,
        flag,
        `${bridge} is there, too`,
        'a zone is a bridge that systemd-nspawn makes itself',
        '--network-bridge= and --network-zone= may not be combined.',
        'remove one of the two'
      )
}

/** Whether a flag makes or moves an interface. */
const isInterface = (flag: NetworkFlag): boolean =>
  makesPrivate(flag) && !/^(private-network|network-namespace-path)$/.test(optionOf(flag) ?? '')

const bridgeOf = ({ privateNetwork, veth: { hostBridge } }: Container): string | undefined =>
  privateNetwork && hostBridge !== undefined ? `hostBridge ${hostBridge}` : undefined

/** A second bridge, of which the first is lost; and a bridge that NixOS does not know of when it looks for ve-NAME. */
const overridden = ({ container, flags }: All, flag: NetworkFlag): Problem | undefined => {
  const option = optionOf(flag)
  if (option !== 'network-bridge' && option !== 'network-zone') return undefined
  const { name, privateNetwork, veth } = container
  const addresses = vethOptions(veth)
  const address = addresses.find(option => option !== 'localMacAddress')
  if (privateNetwork && veth.hostBridge === undefined && address !== undefined) {
    const [ve, vb] = [hostIfname(name, false), hostIfname(name, true)]
    return {
      message: `container "${name}" has ${listed(addresses)} and the flag ${flag.text}, which NixOS does not know of`,
      labels: [
        { at: flag.at, text: `puts the pair into a bridge, as ${vb}` },
        { at: [...veth.at, address], on: 'key', text: `set up on ${ve}` }
      ],
      note: `after the start NixOS says "ip link set dev ve-${name} up", the interface is called ${vb}, and "Cannot find device" stops the container`,
      help:
        option === 'network-bridge'
          ? `write hostBridge: ${flag.value} instead of the flag`
          : `define a bridge in bridges and write it as hostBridge instead of the flag, or remove ${listed(addresses)}`
    }
  }
  const earlier = flags.slice(0, flags.indexOf(flag))
  const before =
    earlier.findLast(other => optionOf(other) === 'network-bridge' && other.value !== flag.value)?.text ??
    (veth.hostBridge === flag.value ? undefined : bridgeOf(container))
  if (before === undefined) return undefined
  return {
    message: `container "${name}" has ${before}, and the flag ${flag.text} takes its place`,
    labels: [{ at: flag.at, text: 'the last one counts' }],
    note: 'systemd-nspawn makes one pair and puts it into one bridge: of several --network-bridge it takes the last one without a word',
    help: `remove one of the two; for a second bridge, write extraVeths: { NAME: { hostBridge: ${flag.value}, localAddress: … } }`,
    severity: 'warning'
  }
}
