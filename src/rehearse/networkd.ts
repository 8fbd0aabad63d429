// What systemd-networkd says without a fault of the units: how it starts, what it sees of links, and what it misses in a
// namespace without udev, D-Bus and the rights of root.
const USUAL =
  /receive buffer size|wireless LAN|get driver|lease lost|cgroup path|network filesystem|^(?:\S+: )?(?:Link (?:UP|DOWN)|Gained|Lost carrier|netdev ready|Configuring with|Enumeration completed|Configured$|Found (?:container|virtualization))|virtualization|^Enumeration|Unmanaged|: Link is not managed|DHCPv[46] (?:client|lease)|^Received |Using nftables/

/** The lines that complain, each once, without the folder. */
export const complaints = (log: readonly string[]): readonly string[] => [
  ...new Set(
    log
      .filter(line => line !== '' && !USUAL.test(line))
      .map(line => line.replaceAll('/run/systemd/network/', ''))
  )
]
