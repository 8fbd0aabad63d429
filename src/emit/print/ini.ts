import type { UnitSection, UnitSetting } from '../../plan/units.ts'

/**
 * Prints sections as systemd reads them (systemd.syntax(7)). A value with a line end, or a backslash at its end, would
 * become a line of its own; none that a plan has does, and one that did would be a fault of this program.
 */
export const ini = (sections: readonly UnitSection[]): string =>
  sections
    .filter(({ name, settings }) => settings.length > 0 || name === 'DHCPServer')
    .map(({ name, settings }) => `[${name}]\n${settings.map(setting).join('')}`)
    .join('\n')

const setting = ([key, value]: UnitSetting): string => {
  const text = typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
  if (/[\p{Cc}\p{Zl}\p{Zp}]|\\$/u.test(text)) throw new Error(`a value of ${key}= is more than one line`)
  return `${key}=${text}\n`
}
