import type { Topology } from '../model/topology.ts'
import { allocate } from './allocate.ts'
import { addressTable } from './addresses.ts'
import { draftBridges, joinMembers, resolvePlacements } from './bridges.ts'
import { hostInterfaces, resolveLinks } from './links.ts'
import { resolveNat } from './nat.ts'
import { networkFiles } from './networkd.ts'
import type { Plan } from './plan.ts'
import { portClaims } from './ports.ts'
import { releasesOf } from './releases.ts'

/** Works out what NixOS would make of a topology. It never complains: rules read what it records. */
export const resolve = (written: Topology): Plan => {
  const { topology, allocations, unallocated } = allocate(written)
  const drafts = draftBridges(topology)
  const resolved = resolveLinks(topology, drafts)
  const { links } = resolved
  const bridges = joinMembers(drafts, links)
  return {
    topology,
    ...resolved,
    bridges,
    misplaced: resolvePlacements(links),
    addresses: addressTable(topology, bridges, resolved),
    nat: resolveNat(topology),
    ports: portClaims(topology),
    allocations,
    unallocated,
    releases: releasesOf(topology.host),
    hostInterfaces: once(() => hostInterfaces(topology, links)),
    networkFiles: once(() => networkFiles(topology))
  }
}

const once = <T>(compute: () => T): (() => T) => {
  let known: { readonly value: T } | undefined
  return () => (known ??= { value: compute() }).value
}
