import { isUniqueLocal } from '../plan/allocate.ts'
import { formatPath } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const unpinnedAuto: Rule = {
  id: 'unpinned-auto',
  group: 'addresses',
  severity: 'hint',
  summary: 'Values are auto and not written down, so the next change of the file may move them.',
  *check({ allocations, unallocated }) {
    const random = unallocated.filter(isUniqueLocal)
    const [first, ...others] = [...allocations, ...random]
    if (first === undefined) return
    const [now] = allocations
    yield {
      message:
        others.length === 0
          ? `${formatPath(first.at)} is auto and not written down yet`
          : `${plural(others.length + 1, 'value')} are auto and not written down yet`,
      labels: [
        {
          at: first.at,
          text:
            now === undefined
              ? 'an IPv6 network is chosen at random when it is written down'
              : `now ${listed(now.values.map(String))}`
        }
      ],
      note: 'each is chosen anew on every run: what is added above it, or changes its bridge, can give it another value, and what runs has the old one',
      help: 'run "netplan plan --write": it writes the values into the file, and they stay'
    }
  }
}
