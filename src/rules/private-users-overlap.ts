import type { Container } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** F11 */
export const privateUsersOverlap: Rule = {
  id: 'private-users-overlap',
  group: 'containers',
  severity: 'warning',
  summary: 'The user ids of a container are those of another one or of the host.',
  *check({ topology }) {
    const ranges = topology.having.privateUsers.flatMap((container, order): Range[] => {
      const { enabled, privateUsers: first } = container
      return enabled && typeof first === 'number' && first > 0 && first !== 65535 && first + WIDTH < 2 ** 32
        ? [{ container, first, order }]
        : []
    })
    const free = freeRanges(ranges)
    let below: Range | undefined
    for (const range of [...ranges].sort((a, b) => a.first - b.first || a.order - b.order)) {
      const { container, first } = range
      const other = below !== undefined && below.first + WIDTH > first ? below : undefined
      below = range
      const { name, at } = container
      if (first < WIDTH)
        yield {
          message: `the users of container "${name}" are users of the host: its root is user ${first}, and the host has 0 to ${WIDTH - 1}`,
          labels: [{ at: [...at, 'privateUsers'], text: `user ids ${first} to ${first + WIDTH - 1}` }],
          note: 'the container starts, but whoever breaks out of it, or reaches a bind mount, has the rights of a user of the host, and files of one are owned by the other',
          help: `write privateUsers: ${free()}, or pick`
        }
      if (other === undefined) continue
      const [earlier, later] = other.order < range.order ? [other, range] : [range, other]
      yield {
        message: `containers "${earlier.container.name}" and "${later.container.name}" share user ids: ${first} to ${other.first + WIDTH - 1}`,
        labels: [
          { at: [...later.container.at, 'privateUsers'], text: span(later) },
          { at: [...earlier.container.at, 'privateUsers'], text: span(earlier) }
        ],
        note: 'both start and nothing says so, but to the kernel their users are the same: files of one, in a bind mount or on the host, belong to the other too, and limits for each user are shared',
        help: `each range is 65536 ids wide: write privateUsers: ${free()} for "${later.container.name}", or pick for both`
      }
    }
  }
}

interface Range {
  readonly container: Container
  readonly first: number
  readonly order: number
}

const WIDTH = 65536

const span = ({ first }: Range): string => `user ids ${first} to ${first + WIDTH - 1}`

/** A multiple of 65536 that starts a range which nobody has, another one at each call. */
const freeRanges = (ranges: readonly Range[]): (() => number) => {
  const taken = new Set(
    ranges.flatMap(({ first }) => [Math.floor(first / WIDTH), Math.floor((first + WIDTH - 1) / WIDTH)])
  )
  let next = 1
  return () => {
    while (taken.has(next)) next += 1
    next += 1
    return (next - 1) * WIDTH
  }
}
