import type { Host } from '../model/topology.ts'

/** What differs between NixOS releases and kernels, as it is for one host. */
export interface Releases {
  /** The release in words for a message: `NixOS 25.11`, or `NixOS 26.05 and later` where the file names none. */
  readonly release: string
  /** Whether a container's defaultGateway without an interface becomes a route. */
  readonly gatewayWithoutInterface: 'set' | 'set since a fix'
  /** Whether networkd's IPMasquerade= turns on forwarding for the whole host, and not for its own interface only. */
  readonly masqueradeForwards: boolean
  /** Whether an interface may have a second, longer name, so that NixOS takes container names over 11 characters. */
  readonly alternativeNames: boolean
}

/** Each value with the first version that has it. */
type Since<T> = readonly (readonly [from: string, value: T])[]

type Facts = Omit<Releases, 'release'>

const FACTS: {
  readonly [K in keyof Facts]: { readonly by: 'release' | 'kernel'; readonly since: Since<Facts[K]> }
} = {
  // 26.05 was branched off while it was not (nixpkgs issue 509247); PR 524281 of 2026-05-26 mended it.
  gatewayWithoutInterface: {
    by: 'release',
    since: [
      ['', 'set'],
      ['26.05', 'set since a fix']
    ]
  },
  // NEWS of systemd 256, which is in NixOS 24.11.
  masqueradeForwards: {
    by: 'release',
    since: [
      ['', true],
      ['24.11', false]
    ]
  },
  // nixos-containers.nix asks for a kernel newer than 5.8; 5.8.1 is, 5.8 is not.
  alternativeNames: {
    by: 'kernel',
    since: [
      ['', false],
      ['5.8.1', true]
    ]
  }
}

const NEWEST = '26.05'

/** The facts of a host. One that does not say its version is taken for the newest. */
export const releasesOf = (host: Host): Releases => {
  const fact = <K extends keyof Facts>(name: K): Facts[K] => valueAt(FACTS[name].since, host[FACTS[name].by])
  return {
    release: host.release === undefined ? `NixOS ${NEWEST} and later` : `NixOS ${host.release}`,
    gatewayWithoutInterface: fact('gatewayWithoutInterface'),
    masqueradeForwards: fact('masqueradeForwards'),
    alternativeNames: fact('alternativeNames')
  }
}

/** The value of the last version that is not newer than this one; of the last of all where it is not known. */
const valueAt = <T>(since: Since<T>, version: string | undefined): T => {
  const reached = since.filter(([from]) => version === undefined || compareVersions(version, from) >= 0)
  const last = reached.at(-1) ?? since[0]
  if (last === undefined) throw new Error('a fact without a value')
  return last[1]
}

/** Number by number, as Nix compares versions: `5.8.1` is newer than `5.8`. */
export const compareVersions = (a: string, b: string): number => {
  const numbers = (version: string): number[] =>
    version.split(/[.-]/).map(part => Number.parseInt(part, 10) || 0)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
