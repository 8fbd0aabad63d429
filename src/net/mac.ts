/** What is wrong with a MAC address, or its 48 bits as a number. */
export type ParsedMac = { readonly value: number } | { readonly reason: string }

const PATTERN = /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i

/** Six bytes of two hexadecimal digits each, separated by colons: the one form that NixOS, networkd and ip all take. */
export const parseMac = (text: string): ParsedMac =>
  PATTERN.test(text)
    ? { value: Number.parseInt(text.replaceAll(':', ''), 16) }
    : { reason: 'a MAC address is six bytes of two hexadecimal digits, separated by colons' }

/** `02:00:00:00:00:0a` */
export const formatMac = (value: number): string =>
  (value.toString(16).padStart(12, '0').match(/../g) ?? []).join(':')

const firstByte = (value: number): number => Math.floor(value / 2 ** 40)

/** Whether it addresses a group: no interface can have it (IEEE 802, bit 0 of the first byte). */
export const isMulticastMac = (value: number): boolean => firstByte(value) % 2 === 1

/** Whether it is chosen by an administrator and not by a manufacturer (IEEE 802, bit 1 of the first byte). */
export const isLocalMac = (value: number): boolean => Math.floor(firstByte(value) / 2) % 2 === 1

/** The address as an administrator may choose it: for one machine, and from no manufacturer's block. */
export const asLocalMac = (value: number): number =>
  value + (Math.floor(firstByte(value) / 4) * 4 + 2 - firstByte(value)) * 2 ** 40
