import type { Host } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'

/** What differs between NixOS releases and kernels, as it is for one host. */
export interface Releases {
  /** The release in words for a message: `NixOS 25.11`, or `NixOS 26.05 and later` where the file names none. */
  readonly release: string
  /** Whether a container's defaultGateway without an interface becomes a route. */
  readonly gatewayWithoutInterface: 'set' | 'set since a fix'
  /** Whether networkd has IPv4Forwarding= and IPv6Forwarding=, which can keep IPMasquerade= from turning forwarding on. */
  readonly networkdForwarding: boolean
  /** Whether networkd removes addresses and routes of others from an interface when it starts to manage it. */
  readonly networkdDropsForeign: boolean
  /** What networkd makes of an address without a prefix length: the old address classes (IPv6: /0), or a single address. */
  readonly barePrefix: 'class' | 'single'
  /** Whether [Address], [Route] and other lists of sections take their keys as they are, without addressConfig around them. */
  readonly plainSections: boolean
  /** Whether an interface may have a second, longer name, so that NixOS takes container names over 11 characters. */
  readonly alternativeNames: boolean
  /** Whether containers have the option localMacAddress. */
  readonly localMacAddress: boolean
  /** Whether networking.defaultGateway has a source. */
  readonly gatewaySource: boolean
  /** Whether NAT with nftables can forward a range of ports; it looks at tcp and udp alone since then. */
  readonly natPortRanges: boolean
}

/** The length that networkd took up to systemd 252 for an address without one: its class, or none in IPv6. */
export const classBits = ({ family, value }: Addr): number =>
  family === 6 ? 0 : value < 0x80000000n ? 8 : value < 0xc0000000n ? 16 : 24

/** Each value with the first version that has it; the first has been there ever since. */
type Since<T> = readonly [readonly [from: '', value: T], ...(readonly [from: string, value: T])[]]

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
  // NEWS of systemd 256, which is in NixOS 24.11. That IPMasquerade= did not imply the host's forwarding was a fault of
  // the first 256 (systemd issue 34010, PR 34014 of August 2024); it does in 252 and in 257.
  networkdForwarding: {
    by: 'release',
    since: [
      ['', false],
      ['24.11', true]
    ]
  },
  // Seen of systemd 257, which is in NixOS 25.05; 252 keeps them. Nobody has looked at those between.
  networkdDropsForeign: {
    by: 'release',
    since: [
      ['', false],
      ['25.05', true]
    ]
  },
  // nat-nftables.nix, nixpkgs issue 264065 and PR 266477 of November 2023; nftables 1.0.9 is in 23.11.
  natPortRanges: {
    by: 'release',
    since: [
      ['', false],
      ['23.11', true]
    ]
  },
  // systemd PR 26105 of January 2023, which is in 253; NixOS 22.11 has 251, 23.05 has 253.
  barePrefix: {
    by: 'release',
    since: [
      ['', 'class'],
      ['23.05', 'single']
    ]
  },
  // nixpkgs PR 312472, merged after 24.05 was branched off.
  plainSections: {
    by: 'release',
    since: [
      ['', false],
      ['24.11', true]
    ]
  },
  // nixpkgs PR 462775 of November 2025; issue 531758 calls it new to 26.05.
  localMacAddress: {
    by: 'release',
    since: [
      ['', false],
      ['26.05', true]
    ]
  },
  // Not in the network-interfaces.nix of 25.11.
  gatewaySource: {
    by: 'release',
    since: [
      ['', false],
      ['26.05', true]
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

/** The facts of a host. One that does not say its version, or says `unstable`, is taken for the newest. */
export const releasesOf = (host: Host): Releases => {
  const fact = <K extends keyof Facts>(name: K): Facts[K] => valueAt(FACTS[name].since, host[FACTS[name].by])
  return {
    release: host.release === undefined ? `NixOS ${NEWEST} and later` : `NixOS ${host.release}`,
    gatewayWithoutInterface: fact('gatewayWithoutInterface'),
    networkdForwarding: fact('networkdForwarding'),
    networkdDropsForeign: fact('networkdDropsForeign'),
    alternativeNames: fact('alternativeNames'),
    localMacAddress: fact('localMacAddress'),
    gatewaySource: fact('gatewaySource'),
    natPortRanges: fact('natPortRanges'),
    barePrefix: fact('barePrefix'),
    plainSections: fact('plainSections')
  }
}

/** The value of the last version that is not newer than this one; of the last of all where it is not known. */
const valueAt = <T>([oldest, ...newer]: Since<T>, version: string | undefined): T => {
  const isNewest = version === undefined || !/^\d/.test(version)
  const [, value] = newer.findLast(([from]) => isNewest || compareVersions(version, from) >= 0) ?? oldest
  return value
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
