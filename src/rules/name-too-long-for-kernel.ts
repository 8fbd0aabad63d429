import type { Rule } from './rule.ts'

/** C3 */
export const nameTooLongForKernel: Rule = {
  id: 'name-too-long-for-kernel',
  group: 'names',
  severity: 'error',
  summary: 'On a kernel up to 5.8 a private container has a name of more than 11 characters.',
  *check({ topology, releases }) {
    const { kernel } = topology.host
    if (kernel === undefined || releases.alternativeNames) return
    for (const { name, at, privateNetwork, enabled, checkedByNix } of topology.containers) {
      if (!enabled || !privateNetwork || !checkedByNix || name.length <= 11) continue
      yield {
        message: `the name "${name}" has ${name.length} characters; on kernel ${kernel} a private container may have 11`,
        labels: [
          { at, on: 'key', text: 'too long for this kernel' },
          { at: ['host', 'kernel'], text: 'NixOS relies on alternative names after 5.8 only' }
        ],
        note: 'it is a part of the interface name ve-<name>, for which Linux has 15 bytes; the rebuild stops with "Container name … is too long"',
        help: `shorten it, for example to ${name.slice(0, 11).replace(/-+$/, '')}, or use a newer kernel`
      }
    }
  }
}
