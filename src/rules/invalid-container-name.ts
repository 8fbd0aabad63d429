import { isMachineName } from '../plan/nspawn.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** C1, C2 */
export const invalidContainerName: Rule = {
  id: 'invalid-container-name',
  group: 'names',
  severity: 'error',
  summary: 'A container has a name that NixOS or systemd-nspawn refuses.',
  *check({ topology }) {
    const taken = new Set<string>()
    for (const { name, at, checkedByNix } of topology.containers) {
      const reason = checkedByNix ? refusal(name) : isMachineName(name) ? undefined : refusalByNspawn(name)
      if (reason === undefined) continue
      const mended = name
        .normalize('NFKD')
        .replace(/\p{M}+/gu, '')
        .replace(/[^A-Za-z0-9-]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 63)
        .replace(/-+$/, '')
      if (taken.size === 0) for (const { name } of topology.containers) taken.add(name)
      const isTaken = taken.has(mended)
      taken.add(mended)
      yield {
        message: `${quote(name)} cannot be the name of a container: ${reason}`,
        labels: [{ at, on: 'key', text: 'letters, digits and inner hyphens only' }],
        note:
          name === ''
            ? 'its unit would be container@.service, which is the template of all containers and cannot be started'
            : checkedByNix
              ? name.includes('_')
                ? 'the rebuild stops, since NixOS refuses underscores in container names'
                : 'the name becomes the host name inside; the rebuild stops with a message about networking.hostName'
              : 'with path or flake the rebuild does not look at the name; systemd-nspawn refuses it ("Invalid machine name") and the container never starts',
        help:
          mended === ''
            ? 'choose another name, such as web'
            : isTaken
              ? `choose another name; ${mended} is taken`
              : `call it ${mended}`
      }
    }
  }
}

/** It takes names with dots, as of a domain. */
const refusalByNspawn = (name: string): string | undefined =>
  name.length > 64
    ? `it has ${name.length} characters; systemd-nspawn takes at most 64`
    : /^[A-Za-z0-9.-]*\.[A-Za-z0-9.-]*$/.test(name)
      ? 'a part between its dots is empty, or starts or ends with a hyphen'
      : refusal(name.replaceAll('.', ''))

const refusal = (name: string): string | undefined => {
  if (/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name)) return undefined
  if (name === '') return 'it is empty'
  if (name.includes('_')) return 'it contains an underscore'
  if (name.length > 63) return `it has ${name.length} characters; a host name has at most 63`
  if (/^-|-$/.test(name)) return 'it starts or ends with a hyphen'
  const bad = /[^A-Za-z0-9-]/u.exec(name)?.[0] ?? ''
  return `it contains ${bad === ' ' ? 'a space' : quote(bad)}`
}
