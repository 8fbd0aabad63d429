import type { Rule } from './rule.ts'

/** D7 */
export const natListsBridgePort: Rule = {
  id: 'nat-lists-bridge-port',
  group: 'nat',
  severity: 'hint',
  summary: 'internalInterfaces has vb-…, a port of a bridge, which routed packets never come in by.',
  *check({ nat: { nat, enabled } }) {
    if (!enabled || nat === undefined) return
    for (const { at, name } of nat.internalInterfaces) {
      if (!name.startsWith('vb-')) continue
      yield {
        message: `internalInterfaces has "${name}", which matches nothing`,
        labels: [{ at, text: 'a port of a bridge' }],
        note: 'vb-… is the port of a bridge; what the host routes comes in by the bridge itself, so NAT rules see only its name',
        help: 'remove it; the name of the bridge is what belongs here'
      }
    }
  }
}
