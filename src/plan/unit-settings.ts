// The keys that nixpkgs knows in the sections of units, and what it takes for them (nixos/modules/system/boot/networkd.nix
// of 2025). A newer one may know more, so a key is only called wrong where it is nearly one of these.

/** What nixpkgs takes for a key: true, false, "yes" or "no"; a number; one of some words; or any text. */
export type Accepted = 'switch' | 'number' | 'text' | readonly string[]

const words = (text: string): readonly string[] => text.split(/\s+/).filter(word => word !== '')

const section = (
  switches: string,
  numbers: string,
  texts: string,
  choices: Readonly<Record<string, string>> = {}
): ReadonlyMap<string, Accepted> =>
  new Map<string, Accepted>([
    ...words(switches).map(key => [key, 'switch'] as const),
    ...words(numbers).map(key => [key, 'number'] as const),
    ...words(texts).map(key => [key, 'text'] as const),
    ...Object.entries(choices).map(([key, choice]) => [key, words(choice)] as const)
  ])

/** The sections of a .netdev by their key in NixOS. */
export const NETDEV_SECTIONS: ReadonlyMap<string, ReadonlyMap<string, Accepted>> = new Map([
  [
    'netdevConfig',
    section('', '', 'Description Name MTUBytes MACAddress', {
      Kind: `bond bridge dummy gre gretap erspan ip6gre ip6tnl ip6gretap ipip ipvlan ipvtap macvlan macvtap sit tap tun
        veth vlan vti vti6 vxlan geneve l2tp macsec wlan vrf vcan vxcan wireguard netdevsim nlmon fou xfrm ifb batadv`
    })
  ],
  [
    'bridgeConfig',
    section(
      'MulticastQuerier MulticastSnooping VLANFiltering STP',
      'HelloTimeSec MaxAgeSec ForwardDelaySec AgeingTimeSec',
      'Priority GroupForwardMask DefaultPVID MulticastIGMPVersion VLANProtocol FDBMaxLearned'
    )
  ],
  [
    'vlanConfig',
    section('GVRP MVRP LooseBinding ReorderHeader', 'Id', 'Protocol EgressQOSMaps IngressQOSMaps')
  ]
])

/** The sections of a .network by their key in NixOS; [Match] takes any key. */
export const NETWORK_SECTIONS: ReadonlyMap<string, ReadonlyMap<string, Accepted>> = new Map([
  [
    'linkConfig',
    section(
      'ARP Multicast AllMulticast Unmanaged Promiscuous',
      'Group',
      'MACAddress MTUBytes RequiredForOnline RequiredFamilyForOnline ActivationPolicy'
    )
  ],
  [
    'networkConfig',
    section(
      `DHCPServer IPv4LLRoute DefaultRouteOnDevice DNSDefaultRoute IPv4Forwarding IPv6Forwarding IPv6AcceptRA
        IPv4AcceptLocal IPv4RouteLocalnet IPv4ProxyARP IPv4ProxyARPPrivateVLAN IPv6ProxyNDP IPv6SendRA
        DHCPPrefixDelegation KeepMaster ActiveSlave PrimarySlave ConfigureWithoutCarrier`,
      'IPv6DuplicateAddressDetection IPv6HopLimit IPv6RetransmissionTimeSec',
      `Description IPv6StableSecretAddress IPv4LLStartAddress DNSSECNegativeTrustAnchors BindCarrier Address Gateway DNS
        Domains NTP IPv6ProxyNDPAddress IPv6MTUBytes Bridge Bond VRF VLAN IPVLAN IPVTAP MACVLAN MACVTAP VXLAN Tunnel
        MACsec IgnoreCarrierLoss Xfrm BatmanAdvanced LinkLocalAddressing IPv6LinkLocalAddressGenerationMode LLMNR
        MulticastDNS DNSOverTLS DNSSEC LLDP EmitLLDP UseDomains IPv6PrivacyExtensions IPv4ReversePathFilter
        KeepConfiguration IPForward`,
      { DHCP: 'yes no ipv4 ipv6', IPMasquerade: 'yes no ipv4 ipv6 both' }
    )
  ],
  [
    'bridgeConfig',
    section(
      `UnicastFlood MulticastFlood MulticastToUnicast NeighborSuppression Learning Hairpin Isolated UseBPDU FastLeave
        AllowPortToBeRoot ProxyARP ProxyARPWiFi`,
      'Cost Priority',
      'MulticastRouter Locked'
    )
  ]
])
