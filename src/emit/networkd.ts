import { type Unit, unitsOf } from '../plan/units.ts'
import type { Artifact, Emitter } from './emitter.ts'
import { ini } from './print/ini.ts'
import { beyondUnits, undecided } from './refusals.ts'

export const networkd: Emitter = {
  id: 'networkd',
  summary: 'systemd-networkd .netdev and .network units',
  *cannot(plan) {
    yield* undecided(plan)
    yield* beyondUnits(plan, { target: 'all' })
  },
  emit: (plan, mark) => unitsOf(plan, { target: 'all' }).map(unit => artifact(unit, mark))
}

const artifact = ({ file, sections }: Unit, mark: string): Artifact => ({
  path: file,
  text: `# ${mark}\n\n${ini(sections)}`
})
