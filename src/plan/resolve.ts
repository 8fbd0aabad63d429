import type { Container, Topology, Vm } from '../model/topology.ts'
import { addressTable } from './addresses.ts'
import { draftBridges, joinMembers, resolvePlacements } from './bridges.ts'
import { hostInterfaces, resolveLinks } from './links.ts'
import { resolveNat } from './nat.ts'
import type { Link, Plan } from './plan.ts'
import { portClaims } from './ports.ts'
import { releasesOf } from './releases.ts'

/** Works out what NixOS would make of a topology. It never complains: rules read what it records. */
export const resolve = (topology: Topology): Plan => {
  const drafts = draftBridges(topology)
  const links = resolveLinks(topology, drafts)
  const bridges = joinMembers(drafts, links)
  const linksOf = new Map<Container | Vm, Link[]>()
  for (const link of links) {
    const known = linksOf.get(link.node)
    if (known === undefined) linksOf.set(link.node, [link])
    else known.push(link)
  }
  return {
    topology,
    links,
    linksOf,
    bridges,
    misplaced: resolvePlacements(links),
    addresses: addressTable(topology, bridges, links),
    nat: resolveNat(topology),
    ports: portClaims(topology),
    releases: releasesOf(topology.host),
    hostInterfaces: once(() => hostInterfaces(topology, links))
  }
}

const once = <T>(compute: () => T): (() => T) => {
  let known: { readonly value: T } | undefined
  return () => (known ??= { value: compute() }).value
}
