import type { Container, Named } from '../model/topology.ts'
import type { Path } from '../text/path.ts'

// The network flags among a container's extraFlags, read as systemd-nspawn reads them. The start script leaves
// $EXTRA_NSPAWN_FLAGS unquoted (nixos-containers.nix), so blanks part words; getopt_long(3) takes each name that begins only one option.

/** The network options of systemd-nspawn(1), and whether they take a value. */
const OPTIONS: ReadonlyMap<string, boolean> = new Map([
  ['private-network', false],
  ['network-veth', false],
  ['network-veth-extra', true],
  ['network-bridge', true],
  ['network-zone', true],
  ['network-interface', true],
  ['network-macvlan', true],
  ['network-ipvlan', true],
  ['network-namespace-path', true],
  ['port', true]
])

/** No other option begins like these, so what begins so is meant for one of them: its name, and a value behind "=". */
const NETWORK_FLAG = /^--((?:net|po|private-n)[^=]*)(?:=(.*))?$/

export interface NetworkFlag {
  readonly at: Path
  /** As it was written, the value included. */
  readonly text: string
  /** The name as it was written, without dashes and value. */
  readonly name: string
  /** The options that the name may stand for: one that is known, none, or several. */
  readonly options: readonly string[]
  readonly value: string | undefined
  /** Whether it has a value that it does not take, or lacks one. */
  readonly fault: 'value' | 'no-value' | undefined
}

const NONE: readonly never[] = []

/** The network flags of a container, in order. */
export const networkFlags = ({ extraFlags }: Container): readonly NetworkFlag[] => {
  if (extraFlags.length === 0) return NONE
  const words: readonly Named[] = extraFlags.flatMap(({ at, name }) =>
    Array.from(name.matchAll(/\S+/g), ([word]) => ({ at, name: word }))
  )
  const flags: NetworkFlag[] = []
  let isValue = false
  for (const [i, { at, name: text }] of words.entries()) {
    const found: readonly (string | undefined)[] = isValue ? [] : (NETWORK_FLAG.exec(text) ?? [])
    const [, name, own] = found
    isValue = false
    if (name === undefined) continue
    const options = OPTIONS.has(name) ? [name] : [...OPTIONS.keys()].filter(option => option.startsWith(name))
    const [option, another] = options
    const takes = option !== undefined && another === undefined && OPTIONS.get(option) === true
    // Without "=" the next word is the value, whatever it looks like.
    const next = takes && own === undefined ? words[i + 1]?.name : undefined
    isValue = next !== undefined
    const value = own ?? next
    flags.push({
      at,
      text: next === undefined ? text : `${text} ${next}`,
      name,
      options,
      value,
      fault:
        options.length !== 1
          ? undefined
          : takes && value === undefined
            ? 'no-value'
            : !takes && value !== undefined
              ? 'value'
              : undefined
    })
  }
  return flags
}

/** What a flag does, where it is one that systemd-nspawn takes. */
export const optionOf = ({ options, fault }: NetworkFlag): string | undefined =>
  options.length === 1 && fault === undefined ? options[0] : undefined

/** Whether a flag gives the container a network namespace of its own. */
export const makesPrivate = (flag: NetworkFlag): boolean => {
  const option = optionOf(flag)
  return option !== undefined && option !== 'port'
}

/** hostname_is_valid (systemd, src/basic/hostname-util.c): labels of letters, digits and inner hyphens, dots between. */
export const isMachineName = (name: string): boolean =>
  /^(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(name)
