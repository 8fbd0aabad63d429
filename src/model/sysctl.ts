import type { SettingText } from './topology.ts'

/** The name of a sysctl in one spelling: `net/ipv4/conf/eth0.7/proxy_arp` is `net.ipv4.conf.eth0.7.proxy_arp` (sysctl.d(5)). */
export const sysctlName = (written: string): string => written.replaceAll('/', '.')

/** Whether a switch of the kernel is on. It takes numbers only, and NixOS writes true as 1. */
export const isOn = (sysctl: SettingText | undefined): boolean =>
  sysctl?.value === true || /^\s*0*[1-9]\d*\s*$/.test(sysctl?.text ?? '')
