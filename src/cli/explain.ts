import pages from 'embed:pages'
import { createColors } from 'picocolors'
import { IGNORE_RULES } from '../report/ignored.ts'
import { RULES } from '../rules/index.ts'
import { GROUPS } from '../rules/rule.ts'
import { SYNTAX_RULES } from '../syntax/faults.ts'
import { quote } from '../text/path.ts'
import { nearest } from '../text/words.ts'
import { colourful, type Exit, say } from './terminal.ts'

const TITLES: Record<(typeof GROUPS)[number], string> = {
  addresses: 'Addresses and networks',
  ipv6: 'IPv6',
  bridges: 'Bridges, their ports and MAC addresses',
  gateways: 'Gateways and ways back',
  dns: 'Names to addresses',
  names: 'Names of containers and interfaces',
  nat: 'NAT and forwarding',
  firewall: 'Firewalls',
  ports: 'Ports and forwards',
  networkd: 'systemd-networkd and who else manages interfaces',
  containers: 'Network namespaces and other options of containers'
}

/** What `generate` refuses bears a name like a rule, though no network is wrong for it. */
const OF_TARGETS = `# cannot-express

> A target of netplan generate has no words for something in the topology.

What happens: nothing is printed or written, and the exit status is 1. Files without it would make another network than
the one that was checked, planned and rehearsed.

What to do: the place and the way out stand in the message. Most often another target has the words (netplan generate
--target nixos has the most of them), or the value can be written so that this one has.
`

/** Prints a rule's page, or the list of all rules. */
export const explain = (rule: string | undefined): Exit => {
  if (rule === undefined) {
    process.stdout.write(list())
    return 0
  }
  const id = rule.replace(/^\[|\]$/g, '')
  const page = id === 'cannot-express' ? OF_TARGETS : Object.hasOwn(pages, id) ? pages[id] : undefined
  if (page === undefined) {
    const meant = nearest(id, Object.keys(pages))
    say(
      `there is no rule ${quote(id)}${meant === undefined ? '; "netplan explain" lists them' : `; did you mean ${meant}?`}`
    )
    return 2
  }
  process.stdout.write(rendered(page))
  return 0
}

const list = (): string => {
  const { bold, red, yellow, cyan } = createColors(colourful())
  const colour = { error: red, warning: yellow, hint: cyan }
  const row = (id: string, severity: keyof typeof colour, summary: string): string =>
    `  ${id.padEnd(34)} ${colour[severity](severity.padEnd(8))} ${summary}\n`
  const groups = GROUPS.map(group => {
    const rules = RULES.filter(rule => rule.group === group)
    return `${bold(TITLES[group])}\n${rules.map(({ id, severity, summary }) => row(id, severity, summary)).join('')}`
  })
  const file = [
    ...Object.entries(SYNTAX_RULES).map(([id, summary]) => row(id, 'error', summary)),
    ...Object.entries(IGNORE_RULES).map(([id, { severity, summary }]) => row(id, severity, summary))
  ]
  return `${[...groups, `${bold('The file itself')}\n${file.join('')}`].join('\n')}\n"netplan explain RULE" tells what happens, why, and what to do.\n`
}

/** The rows of the catalogue behind a comment, which only the tests and the table of coverage read. */
const ROWS = /(# (?:error|warning|hint): \[[a-z0-9-]+\])(?: [A-F]\d+)+|\s*# fine:(?: [A-F]\d+)+/g

/** The page as a terminal shows it: headings bold, fences gone, what only the tests read left as the comment it is. */
const rendered = (page: string): string => {
  const { bold, dim } = createColors(colourful())
  let fenced = false
  return page
    .split('\n')
    .flatMap(line => {
      if (line.startsWith('```')) {
        fenced = !fenced
        return []
      }
      if (fenced) return [`    ${dim(line.replace(ROWS, '$1'))}`.trimEnd()]
      return [line.startsWith('#') ? bold(line.replace(/^#+ /, '')) : line.replace(/^> /, '')]
    })
    .join('\n')
}
