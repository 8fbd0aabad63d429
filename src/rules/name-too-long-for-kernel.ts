import type { Rule } from './rule.ts'

/** C3 */
export const nameTooLongForKernel: Rule = {
  id: 'name-too-long-for-kernel',
  group: 'names',
  severity: 'error',
  summary: 'On a kernel up to 5.8 a private container has a name of more than 11 characters.',
  *check({ topology }) {
    const { kernel } = topology.host
    const [major = 0, minor = 0] = (kernel ?? '').split('.').map(Number)
    if (kernel === undefined || major > 5 || (major === 5 && minor > 8)) return
    for (const { name, at, privateNetwork, enabled } of topology.containers) {
      if (!enabled || !privateNetwork || name.length <= 11) continue
      yield {
        message: `the name "${name}" has ${name.length} characters; on kernel ${kernel} a private container may have 11`,
        labels: [
          { at, on: 'key', text: 'too long for this kernel' },
          { at: ['host', 'kernel'], text: 'alternative interface names came with 5.8' }
        ],
        note: 'without alternative names two interfaces ve-<name> that begin alike would be one; the rebuild stops with an assertion',
        help: `shorten it, for example to ${name.slice(0, 11).replace(/-+$/, '')}, or use a newer kernel`
      }
    }
  }
}
