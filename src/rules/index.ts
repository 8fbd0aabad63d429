// Made by scripts/gen.mjs from the files beside it; `npm run gen` makes it anew.
import { addressOutsideBridge } from './address-outside-bridge.ts'
import { addressTakenByNeighbour } from './address-taken-by-neighbour.ts'
import { broadcastAddress } from './broadcast-address.ts'
import { dhcpAndStatic } from './dhcp-and-static.ts'
import { duplicateAddress } from './duplicate-address.ts'
import { duplicateForward } from './duplicate-forward.ts'
import { duplicateInterfaceName } from './duplicate-interface-name.ts'
import { extraVethPrefix } from './extra-veth-prefix.ts'
import { forwardToClosedPort } from './forward-to-closed-port.ts'
import { forwardToNowhere } from './forward-to-nowhere.ts'
import { gatewayWithoutInterface } from './gateway-without-interface.ts'
import { hostAddressOffBridge } from './host-address-off-bridge.ts'
import { hostPortConflict } from './host-port-conflict.ts'
import { ignoredWithoutPrivateNetwork } from './ignored-without-private-network.ts'
import { imperativeRange } from './imperative-range.ts'
import { incompletePair } from './incomplete-pair.ts'
import { interfaceNameTooLong } from './interface-name-too-long.ts'
import { invalidAddress } from './invalid-address.ts'
import { invalidContainerName } from './invalid-container-name.ts'
import { invalidForwardDestination } from './invalid-forward-destination.ts'
import { invalidInterfaceName } from './invalid-interface-name.ts'
import { invalidPort } from './invalid-port.ts'
import { invalidPortRange } from './invalid-port-range.ts'
import { invalidProtocol } from './invalid-protocol.ts'
import { ipv6ForwardDropped } from './ipv6-forward-dropped.ts'
import { missingGateway } from './missing-gateway.ts'
import { missingPrefixLength } from './missing-prefix-length.ts'
import { nameTooLongForKernel } from './name-too-long-for-kernel.ts'
import { namesDifferInCase } from './names-differ-in-case.ts'
import { nameserversIgnored } from './nameservers-ignored.ts'
import { natExternalInternal } from './nat-external-internal.ts'
import { natListsBridgePort } from './nat-lists-bridge-port.ts'
import { natMissesBridge } from './nat-misses-bridge.ts'
import { natMissesContainer } from './nat-misses-container.ts'
import { natWithoutExternal } from './nat-without-external.ts'
import { natWithoutInternal } from './nat-without-internal.ts'
import { natWithoutIpv6 } from './nat-without-ipv6.ts'
import { networkAddress } from './network-address.ts'
import { noInterface } from './no-interface.ts'
import { prefixMismatch } from './prefix-mismatch.ts'
import { prefixOnHostAddress } from './prefix-on-host-address.ts'
import { prefixWithoutBridge } from './prefix-without-bridge.ts'
import { reservedInterfaceName } from './reserved-interface-name.ts'
import { resolvedWithHostResolvConf } from './resolved-with-host-resolv-conf.ts'
import { subnetOverlap } from './subnet-overlap.ts'
import { subnetTooSmall } from './subnet-too-small.ts'
import { twoGateways } from './two-gateways.ts'
import { unallocatedIpv6 } from './unallocated-ipv6.ts'
import { undefinedUla } from './undefined-ula.ts'
import { unknownBridge } from './unknown-bridge.ts'
import { unusableAddress } from './unusable-address.ts'
import { vethStaysDown } from './veth-stays-down.ts'
import { wildcardWrongBackend } from './wildcard-wrong-backend.ts'
import { wrongAddressFamily } from './wrong-address-family.ts'
import { wrongGateway } from './wrong-gateway.ts'
import type { Rule } from './rule.ts'

/** Every rule, by id. */
export const RULES: readonly Rule[] = [
  addressOutsideBridge,
  addressTakenByNeighbour,
  broadcastAddress,
  dhcpAndStatic,
  duplicateAddress,
  duplicateForward,
  duplicateInterfaceName,
  extraVethPrefix,
  forwardToClosedPort,
  forwardToNowhere,
  gatewayWithoutInterface,
  hostAddressOffBridge,
  hostPortConflict,
  ignoredWithoutPrivateNetwork,
  imperativeRange,
  incompletePair,
  interfaceNameTooLong,
  invalidAddress,
  invalidContainerName,
  invalidForwardDestination,
  invalidInterfaceName,
  invalidPort,
  invalidPortRange,
  invalidProtocol,
  ipv6ForwardDropped,
  missingGateway,
  missingPrefixLength,
  nameTooLongForKernel,
  namesDifferInCase,
  nameserversIgnored,
  natExternalInternal,
  natListsBridgePort,
  natMissesBridge,
  natMissesContainer,
  natWithoutExternal,
  natWithoutInternal,
  natWithoutIpv6,
  networkAddress,
  noInterface,
  prefixMismatch,
  prefixOnHostAddress,
  prefixWithoutBridge,
  reservedInterfaceName,
  resolvedWithHostResolvConf,
  subnetOverlap,
  subnetTooSmall,
  twoGateways,
  unallocatedIpv6,
  undefinedUla,
  unknownBridge,
  unusableAddress,
  vethStaysDown,
  wildcardWrongBackend,
  wrongAddressFamily,
  wrongGateway
]
