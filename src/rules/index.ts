// Made by scripts/gen.mjs from the files beside it; `npm run gen` makes it anew.
import { addressOutsideBridge } from './address-outside-bridge.ts'
import { addressTakenByNeighbour } from './address-taken-by-neighbour.ts'
import { advertisementWithoutPrefix } from './advertisement-without-prefix.ts'
import { autoWithoutValue } from './auto-without-value.ts'
import { bootWaitsForBridge } from './boot-waits-for-bridge.ts'
import { bridgeDefinedTwice } from './bridge-defined-twice.ts'
import { bridgePortWithAddress } from './bridge-port-with-address.ts'
import { bridgeTrafficFiltered } from './bridge-traffic-filtered.ts'
import { bridgeWithoutCarrier } from './bridge-without-carrier.ts'
import { broadcastAddress } from './broadcast-address.ts'
import { containerPortConflict } from './container-port-conflict.ts'
import { containersDisabled } from './containers-disabled.ts'
import { dhcpAndStatic } from './dhcp-and-static.ts'
import { dhcpOnIgnoredInterface } from './dhcp-on-ignored-interface.ts'
import { dhcpPortClosed } from './dhcp-port-closed.ts'
import { dhcpRangeConflict } from './dhcp-range-conflict.ts'
import { dhcpRangeOutside } from './dhcp-range-outside.ts'
import { dhcpServerMismatch } from './dhcp-server-mismatch.ts'
import { dhcpWithoutServer } from './dhcp-without-server.ts'
import { dmzHost } from './dmz-host.ts'
import { duplicateAddress } from './duplicate-address.ts'
import { duplicateForward } from './duplicate-forward.ts'
import { duplicateInterfaceName } from './duplicate-interface-name.ts'
import { duplicateMacAddress } from './duplicate-mac-address.ts'
import { duplicateNetdev } from './duplicate-netdev.ts'
import { duplicateVlan } from './duplicate-vlan.ts'
import { externalIpNotOwned } from './external-ip-not-owned.ts'
import { extraVethIgnoresOptions } from './extra-veth-ignores-options.ts'
import { extraVethPrefix } from './extra-veth-prefix.ts'
import { failedExpectation } from './failed-expectation.ts'
import { filterForwardWithIptables } from './filter-forward-with-iptables.ts'
import { filteredForward } from './filtered-forward.ts'
import { firewallMarkOne } from './firewall-mark-one.ts'
import { firewallNameIsKeyword } from './firewall-name-is-keyword.ts'
import { firewallUnknownInterface } from './firewall-unknown-interface.ts'
import { forwardHidesClient } from './forward-hides-client.ts'
import { forwardInExtraCommands } from './forward-in-extra-commands.ts'
import { forwardToClosedPort } from './forward-to-closed-port.ts'
import { forwardToLoopback } from './forward-to-loopback.ts'
import { forwardToNowhere } from './forward-to-nowhere.ts'
import { forwardToSelf } from './forward-to-self.ts'
import { forwardWithoutAddress } from './forward-without-address.ts'
import { gatewayWithoutInterface } from './gateway-without-interface.ts'
import { greedyMatch } from './greedy-match.ts'
import { hostAddressOffBridge } from './host-address-off-bridge.ts'
import { hostPortConflict } from './host-port-conflict.ts'
import { hostPortOpenWithoutTarget } from './host-port-open-without-target.ts'
import { hostServiceClosed } from './host-service-closed.ts'
import { ignoredWithoutPrivateNetwork } from './ignored-without-private-network.ts'
import { imperativeRange } from './imperative-range.ts'
import { impliedPrivateNetwork } from './implied-private-network.ts'
import { incompletePair } from './incomplete-pair.ts'
import { interfaceNameTooLong } from './interface-name-too-long.ts'
import { internalIpHostBits } from './internal-ip-host-bits.ts'
import { internetWithoutNat } from './internet-without-nat.ts'
import { invalidAddress } from './invalid-address.ts'
import { invalidContainerName } from './invalid-container-name.ts'
import { invalidForwardDestination } from './invalid-forward-destination.ts'
import { invalidInterfaceName } from './invalid-interface-name.ts'
import { invalidMacAddress } from './invalid-mac-address.ts'
import { invalidPool } from './invalid-pool.ts'
import { invalidPort } from './invalid-port.ts'
import { invalidPortRange } from './invalid-port-range.ts'
import { invalidPrivateUsers } from './invalid-private-users.ts'
import { invalidProtocol } from './invalid-protocol.ts'
import { ipv6DisabledOnHost } from './ipv6-disabled-on-host.ts'
import { ipv6ForwardDropped } from './ipv6-forward-dropped.ts'
import { ipv6PrefixTooWide } from './ipv6-prefix-too-wide.ts'
import { ipv6WithoutFirewall } from './ipv6-without-firewall.ts'
import { libvirtRefusesForward } from './libvirt-refuses-forward.ts'
import { listenAddressNotOwned } from './listen-address-not-owned.ts'
import { listenBeforePair } from './listen-before-pair.ts'
import { loopbackResolverCopied } from './loopback-resolver-copied.ts'
import { macIgnoredInside } from './mac-ignored-inside.ts'
import { macvlanCannotReachHost } from './macvlan-cannot-reach-host.ts'
import { macvlanOnWifi } from './macvlan-on-wifi.ts'
import { masqueradeWithoutForwarding } from './masquerade-without-forwarding.ts'
import { missingGateway } from './missing-gateway.ts'
import { missingPrefixLength } from './missing-prefix-length.ts'
import { mixedSectionForms } from './mixed-section-forms.ts'
import { movedInterfaceInUse } from './moved-interface-in-use.ts'
import { multicastMacAddress } from './multicast-mac-address.ts'
import { nameTooLongForKernel } from './name-too-long-for-kernel.ts'
import { namesDifferInCase } from './names-differ-in-case.ts'
import { nameserverNobody } from './nameserver-nobody.ts'
import { nameserversIgnored } from './nameservers-ignored.ts'
import { namespaceCombined } from './namespace-combined.ts'
import { natAndMasquerade } from './nat-and-masquerade.ts'
import { natDisabled } from './nat-disabled.ts'
import { natExternalInternal } from './nat-external-internal.ts'
import { natListsBridgePort } from './nat-lists-bridge-port.ts'
import { natMissesBridge } from './nat-misses-bridge.ts'
import { natMissesContainer } from './nat-misses-container.ts'
import { natUnknownInterface } from './nat-unknown-interface.ts'
import { natWithoutExternal } from './nat-without-external.ts'
import { natWithoutInternal } from './nat-without-internal.ts'
import { natWithoutIpv6 } from './nat-without-ipv6.ts'
import { netdevWithoutParent } from './netdev-without-parent.ts'
import { networkAddress } from './network-address.ts'
import { networkManagerTakesBridge } from './network-manager-takes-bridge.ts'
import { networkdInsideDropsAddress } from './networkd-inside-drops-address.ts'
import { networkdNotEnabled } from './networkd-not-enabled.ts'
import { networkdTakesOverPairs } from './networkd-takes-over-pairs.ts'
import { noInterface } from './no-interface.ts'
import { openingWithoutEffect } from './opening-without-effect.ts'
import { optionNewerThanRelease } from './option-newer-than-release.ts'
import { overrideTooLate } from './override-too-late.ts'
import { portInTwoBridges } from './port-in-two-bridges.ts'
import { prefixMismatch } from './prefix-mismatch.ts'
import { prefixOnHostAddress } from './prefix-on-host-address.ts'
import { prefixWithoutBridge } from './prefix-without-bridge.ts'
import { privateUsersOverlap } from './private-users-overlap.ts'
import { refusedExtraFlag } from './refused-extra-flag.ts'
import { refusedUnitSetting } from './refused-unit-setting.ts'
import { replyLeavesElsewhere } from './reply-leaves-elsewhere.ts'
import { reservedInterfaceName } from './reserved-interface-name.ts'
import { resolvedWithHostResolvConf } from './resolved-with-host-resolv-conf.ts'
import { routerAdvertisementsLost } from './router-advertisements-lost.ts'
import { rstpWithNetworkd } from './rstp-with-networkd.ts'
import { sameBridgeTwice } from './same-bridge-twice.ts'
import { scriptedBridgeRestart } from './scripted-bridge-restart.ts'
import { severalAddressesInSection } from './several-addresses-in-section.ts'
import { shadowedNetwork } from './shadowed-network.ts'
import { sharedNetworkFirewallLeak } from './shared-network-firewall-leak.ts'
import { shiftedForwardRange } from './shifted-forward-range.ts'
import { stoppedDependency } from './stopped-dependency.ts'
import { stpDelay } from './stp-delay.ts'
import { subnetOverlap } from './subnet-overlap.ts'
import { subnetTooSmall } from './subnet-too-small.ts'
import { sysctlAgainstNat } from './sysctl-against-nat.ts'
import { tapNotInBridge } from './tap-not-in-bridge.ts'
import { translatedPublicAddress } from './translated-public-address.ts'
import { trustedContainers } from './trusted-containers.ts'
import { twoDhcpClients } from './two-dhcp-clients.ts'
import { twoGateways } from './two-gateways.ts'
import { typeInsteadOfKind } from './type-instead-of-kind.ts'
import { ulaWithoutUplink } from './ula-without-uplink.ts'
import { unallocatedIpv6 } from './unallocated-ipv6.ts'
import { unclampedMtu } from './unclamped-mtu.ts'
import { undefinedUla } from './undefined-ula.ts'
import { unitWithoutMatch } from './unit-without-match.ts'
import { universalMacAddress } from './universal-mac-address.ts'
import { unknownBridge } from './unknown-bridge.ts'
import { unknownBridgePort } from './unknown-bridge-port.ts'
import { unknownExternalInterface } from './unknown-external-interface.ts'
import { unknownInsideInterface } from './unknown-inside-interface.ts'
import { unpinnedAuto } from './unpinned-auto.ts'
import { unreachableUnitGateway } from './unreachable-unit-gateway.ts'
import { unsupportedForwardRange } from './unsupported-forward-range.ts'
import { unusableAddress } from './unusable-address.ts'
import { unusableBridgePort } from './unusable-bridge-port.ts'
import { unusableHostInterface } from './unusable-host-interface.ts'
import { uplinkWithoutAddress } from './uplink-without-address.ts'
import { vethStaysDown } from './veth-stays-down.ts'
import { wellKnownRange } from './well-known-range.ts'
import { wildcardWrongBackend } from './wildcard-wrong-backend.ts'
import { wrongAddressFamily } from './wrong-address-family.ts'
import { wrongGateway } from './wrong-gateway.ts'
import type { Rule } from './rule.ts'

/** Every rule, by id. */
export const RULES: readonly Rule[] = [
  addressOutsideBridge,
  addressTakenByNeighbour,
  advertisementWithoutPrefix,
  autoWithoutValue,
  bootWaitsForBridge,
  bridgeDefinedTwice,
  bridgePortWithAddress,
  bridgeTrafficFiltered,
  bridgeWithoutCarrier,
  broadcastAddress,
  containerPortConflict,
  containersDisabled,
  dhcpAndStatic,
  dhcpOnIgnoredInterface,
  dhcpPortClosed,
  dhcpRangeConflict,
  dhcpRangeOutside,
  dhcpServerMismatch,
  dhcpWithoutServer,
  dmzHost,
  duplicateAddress,
  duplicateForward,
  duplicateInterfaceName,
  duplicateMacAddress,
  duplicateNetdev,
  duplicateVlan,
  externalIpNotOwned,
  extraVethIgnoresOptions,
  extraVethPrefix,
  failedExpectation,
  filterForwardWithIptables,
  filteredForward,
  firewallMarkOne,
  firewallNameIsKeyword,
  firewallUnknownInterface,
  forwardHidesClient,
  forwardInExtraCommands,
  forwardToClosedPort,
  forwardToLoopback,
  forwardToNowhere,
  forwardToSelf,
  forwardWithoutAddress,
  gatewayWithoutInterface,
  greedyMatch,
  hostAddressOffBridge,
  hostPortConflict,
  hostPortOpenWithoutTarget,
  hostServiceClosed,
  ignoredWithoutPrivateNetwork,
  imperativeRange,
  impliedPrivateNetwork,
  incompletePair,
  interfaceNameTooLong,
  internalIpHostBits,
  internetWithoutNat,
  invalidAddress,
  invalidContainerName,
  invalidForwardDestination,
  invalidInterfaceName,
  invalidMacAddress,
  invalidPool,
  invalidPort,
  invalidPortRange,
  invalidPrivateUsers,
  invalidProtocol,
  ipv6DisabledOnHost,
  ipv6ForwardDropped,
  ipv6PrefixTooWide,
  ipv6WithoutFirewall,
  libvirtRefusesForward,
  listenAddressNotOwned,
  listenBeforePair,
  loopbackResolverCopied,
  macIgnoredInside,
  macvlanCannotReachHost,
  macvlanOnWifi,
  masqueradeWithoutForwarding,
  missingGateway,
  missingPrefixLength,
  mixedSectionForms,
  movedInterfaceInUse,
  multicastMacAddress,
  nameTooLongForKernel,
  namesDifferInCase,
  nameserverNobody,
  nameserversIgnored,
  namespaceCombined,
  natAndMasquerade,
  natDisabled,
  natExternalInternal,
  natListsBridgePort,
  natMissesBridge,
  natMissesContainer,
  natUnknownInterface,
  natWithoutExternal,
  natWithoutInternal,
  natWithoutIpv6,
  netdevWithoutParent,
  networkAddress,
  networkManagerTakesBridge,
  networkdInsideDropsAddress,
  networkdNotEnabled,
  networkdTakesOverPairs,
  noInterface,
  openingWithoutEffect,
  optionNewerThanRelease,
  overrideTooLate,
  portInTwoBridges,
  prefixMismatch,
  prefixOnHostAddress,
  prefixWithoutBridge,
  privateUsersOverlap,
  refusedExtraFlag,
  refusedUnitSetting,
  replyLeavesElsewhere,
  reservedInterfaceName,
  resolvedWithHostResolvConf,
  routerAdvertisementsLost,
  rstpWithNetworkd,
  sameBridgeTwice,
  scriptedBridgeRestart,
  severalAddressesInSection,
  shadowedNetwork,
  sharedNetworkFirewallLeak,
  shiftedForwardRange,
  stoppedDependency,
  stpDelay,
  subnetOverlap,
  subnetTooSmall,
  sysctlAgainstNat,
  tapNotInBridge,
  translatedPublicAddress,
  trustedContainers,
  twoDhcpClients,
  twoGateways,
  typeInsteadOfKind,
  ulaWithoutUplink,
  unallocatedIpv6,
  unclampedMtu,
  undefinedUla,
  unitWithoutMatch,
  universalMacAddress,
  unknownBridge,
  unknownBridgePort,
  unknownExternalInterface,
  unknownInsideInterface,
  unpinnedAuto,
  unreachableUnitGateway,
  unsupportedForwardRange,
  unusableAddress,
  unusableBridgePort,
  unusableHostInterface,
  uplinkWithoutAddress,
  vethStaysDown,
  wellKnownRange,
  wildcardWrongBackend,
  wrongAddressFamily,
  wrongGateway
]
