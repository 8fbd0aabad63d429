// Holds `netplan check` against networks whose truth is known (test/cases and test/field, or the folders and files that are named) and
// prints what it expected, found, missed, and told beyond. It is a report: its exit status is 0 whatever the figures are.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { teller, truthOf } from '../test/truth.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const given = process.argv.slice(2)
const files = (given.length === 0 ? [join(root, 'test/cases'), join(root, 'test/field')] : given).flatMap(
  path =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .filter(file => /\.(?:ya?ml|json)$/.test(file))
          .sort()
          .map(file => join(path, file))
      : [path]
)

const check = file => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(root, 'dist/netplan.cjs'), 'check', '--format', 'json', file],
    { encoding: 'utf8', maxBuffer: 1 << 28 }
  )
  if (status === null || status > 1) throw new Error(`netplan check ${file} ended with ${status}: ${stderr}`)
  return JSON.parse(stdout).findings
}

const formatPath = path =>
  path
    .map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '')

const total = { error: [0, 0], warning: [0, 0], hint: [0, 0], extra: 0, argued: 0 }
const rows = [['case', 'expected', 'found', 'missed', 'extra']]
const details = []
for (const file of files) {
  const text = readFileSync(file, 'utf8')
  const { truths, argued } = truthOf(text)
  const tells = teller(text)
  const findings = check(file)
  const places = ({ path, related }) => [path, ...related.map(({ path }) => path)]
  const told = truth => findings.some(finding => tells(finding.rule, places(finding), truth))
  const missed = truths.filter(truth => !told(truth))
  const extra = findings.filter(
    finding =>
      finding.severity !== 'hint' && !truths.some(truth => tells(finding.rule, places(finding), truth))
  )
  const isArgued = ({ rule, path }) =>
    argued.some(known => known.rule === rule && known.at === formatPath(path))
  for (const truth of truths) {
    total[truth.severity][0] += 1
    if (!missed.includes(truth)) total[truth.severity][1] += 1
  }
  const wrong = extra.filter(finding => !isArgued(finding))
  total.extra += wrong.length
  total.argued += extra.length - wrong.length
  rows.push([
    basename(file).replace(/\.\w+$/, ''),
    truths.length === 0 ? 'none' : `${truths.length}`,
    `${truths.length - missed.length}`,
    `${missed.length}`,
    extra.length - wrong.length > 0
      ? `${wrong.length} (+${extra.length - wrong.length} argued)`
      : `${wrong.length}`
  ])
  for (const { severity, type, at } of missed)
    details.push(`missed  ${basename(file)}: ${severity} ${type} at ${at}`)
  for (const { severity, rule, path, message } of wrong)
    details.push(`extra   ${basename(file)}: ${severity}[${rule}] at ${formatPath(path)}: ${message}`)
}

const widths = rows[0].map((_, i) => Math.max(...rows.map(row => row[i].length)))
for (const row of rows)
  console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
console.log(`\n${rows.length - 1} networks`)
for (const severity of ['error', 'warning', 'hint']) {
  const [expected, found] = total[severity]
  console.log(`${severity.padEnd(8)} ${found} of ${expected} found`)
}
console.log(
  `extra    ${total.extra} errors or warnings beyond the truth, ${total.argued} more argued in their files`
)
if (details.length > 0) console.log(`\n${details.join('\n')}`)
