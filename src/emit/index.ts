import type { Emitter } from './emitter.ts'
import { hosts } from './hosts.ts'
import { json } from './json.ts'
import { networkd } from './networkd.ts'
import { nftables } from './nftables.ts'
import { nixos } from './nixos.ts'

/** Every target, by the name that `--target` takes. */
export const EMITTERS: readonly Emitter[] = [networkd, nixos, nftables, hosts, json]
