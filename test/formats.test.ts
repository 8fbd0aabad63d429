import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { describe, expect, test } from 'vitest'
import { type LocatedFinding, type Report, analyzeSite } from '../src/index.ts'
import { compact } from '../src/report/compact.ts'
import { github } from '../src/report/github.ts'
import { junit } from '../src/report/junit.ts'
import { sarif } from '../src/report/sarif.ts'
import { command, root, start } from './command.ts'
import { hostileStrings } from './hostile.ts'
import { absentPrograms } from './judge.ts'

// What other programs read: each is judged by the schema or the parser of its format.

const require = createRequire(import.meta.url)
const own = createRequire(require.resolve('@microsoft/jest-sarif'))
interface Ajv6 {
  addMetaSchema: (schema: unknown) => void
  compile: (schema: unknown) => ((data: unknown) => boolean) & { readonly errors?: unknown }
}
const ajv = new (own('ajv') as new (options: object) => Ajv6)({ schemaId: 'auto', allErrors: true })
ajv.addMetaSchema(own('ajv/lib/refs/json-schema-draft-04.json'))
const isLog = ajv.compile(require('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json'))

interface Region {
  readonly startLine: number
  readonly startColumn: number
  readonly endLine: number
  readonly endColumn: number
}
interface Place {
  readonly physicalLocation: { readonly artifactLocation: { readonly uri: string }; readonly region: Region }
  readonly message?: { readonly text: string }
}
interface Log {
  readonly runs: readonly {
    readonly tool: {
      readonly driver: {
        readonly rules: readonly { readonly id: string; readonly help?: { readonly markdown: string } }[]
      }
    }
    readonly results: readonly {
      readonly ruleId: string
      readonly ruleIndex: number
      readonly level: string
      readonly message: { readonly text: string }
      readonly locations: readonly Place[]
      readonly relatedLocations?: readonly Place[]
    }[]
  }[]
}

const logOf = (reports: readonly Report[]): Log =>
  JSON.parse(sarif(reports, '1.2.3', rule => `# ${rule}\n\n> error · It is wrong.\n\nText.\n`)) as Log

/** Two hosts of a LAN with findings in both, and texts of somebody else as names. */
const site = async (name: string, file: string): Promise<readonly Report[]> => {
  const host = (address: string): string =>
    stringify({
      version: 1,
      site: 'home',
      bridges: { br0: { address: ['192.168.1.1/24'], interfaces: ['eth0'] } },
      containers: {
        [name]: { privateNetwork: true, hostBridge: 'br0', localAddress: address },
        other: { privateNetwork: true, hostBridge: 'br0', localAddress: address }
      }
    })
  const analyses = await analyzeSite([
    { file, text: host('192.168.1.7/24') },
    { file: 'b.yaml', text: host('192.168.1.7') }
  ])
  return analyses.map(({ report }) => report)
}

const all = (reports: readonly Report[]): readonly (LocatedFinding & { readonly file: string })[] =>
  reports.flatMap(({ source: { file }, findings }) => findings.map(finding => ({ ...finding, file })))

const hostile = fc.tuple(
  hostileStrings().filter(name => name !== ''),
  hostileStrings().filter(name => !/[\0\ud800-\udfff]/.test(name) && name !== '')
)

describe('sarif', () => {
  test('is what its schema wants, whatever the file says', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async ([name, file]) => {
        const reports = await site(name, file)
        const log = logOf(reports)
        isLog(log)
        expect(isLog.errors ?? []).toEqual([])
        const [run] = log.runs
        expect(
          run?.results.map(({ ruleId, ruleIndex, locations: [place] }) => [
            ruleId,
            run.tool.driver.rules[ruleIndex]?.id,
            decodeURIComponent(place!.physicalLocation.artifactLocation.uri.replace(/^file:\/\//, '')),
            place!.physicalLocation.region
          ])
        ).toEqual(
          all(reports).map(({ rule, file, labels: [{ start, end }] }) => [
            rule,
            rule,
            file,
            { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column }
          ])
        )
      }),
      { numRuns: 60 }
    )
  }, 120_000)

  test('the judge can say no', async () => {
    const [finding] = logOf(await site('web', 'a.yaml')).runs[0]!.results
    expect(isLog({ version: '2.1.0', runs: [{ results: [{ ...finding, level: 'hint' }] }] })).toBe(false)
  })

  test('a finding has all its places, also those in other files', async () => {
    const { results } = logOf(await site('web', 'a.yaml')).runs[0]!
    const uris = results.flatMap(({ relatedLocations = [] }) =>
      relatedLocations.map(({ physicalLocation }) => physicalLocation.artifactLocation.uri)
    )
    expect(new Set(uris)).toEqual(new Set(['a.yaml', 'b.yaml']))
  })

  test('the command gives the help of the rules', async () => {
    const { stdout, status } = await start(
      process.execPath,
      [command, 'check', '--format', 'sarif', 'test/cases/001-nixpkgs-72580-nftables-ve-plus.yaml'],
      { cwd: root }
    )
    expect(status).toBe(1)
    const log = JSON.parse(stdout) as Log
    expect([isLog(log), isLog.errors]).toEqual([true, null])
    const { rules } = log.runs[0]!.tool.driver
    for (const { help } of rules) expect(help?.markdown).toContain('## What happens')
    expect(rules.length).toBeGreaterThan(0)
  })
})

describe('github', () => {
  /** As the runner reads a line (actions/runner, ActionCommand.cs). */
  const parsed = (line: string): Readonly<Record<string, string>> => {
    const [, command = '', properties = '', message = ''] = /^::(\w+) (.*?)::(.*)$/.exec(line) ?? []
    const data = (text: string): string =>
      text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%')
    const property = (text: string): string => data(text.replaceAll('%3A', ':').replaceAll('%2C', ','))
    return {
      command,
      message: data(message),
      ...Object.fromEntries(
        properties.split(',').map(pair => {
          const [name = '', value = ''] = pair.split(/=(.*)/s)
          return [name, property(value)]
        })
      )
    }
  }

  test('is one command for each finding, at its place', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async ([name, file]) => {
        const reports = await site(name, file)
        const lines = github(reports).split('\n').slice(0, -1)
        const findings = all(reports)
        expect(lines).toHaveLength(findings.length)
        for (const [i, line] of lines.entries()) {
          const {
            rule,
            severity,
            labels: [{ start }],
            help
          } = findings[i]!
          const { command, line: number, title, message } = parsed(line)
          expect([command, number, title]).toEqual([
            severity === 'hint' ? 'notice' : severity,
            String(start.line),
            rule
          ])
          // eslint-disable-next-line no-control-regex
          expect(line).not.toMatch(/[\0-\u001f\u007f-\u009f\u2028\u2029]/)
          expect(message?.split('\n').length).toBeGreaterThan(2)
          if (!/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(help)) expect(message).toContain(help)
        }
      }),
      { numRuns: 60 }
    )
  })
})

describe.skipIf(absentPrograms(['python3']))('junit', () => {
  const READ = `
import sys, json, xml.etree.ElementTree as tree
out = []
for text in json.load(sys.stdin):
    suites = tree.fromstring(text)
    cases = [case for suite in suites for case in suite]
    out.append([int(suites.get('tests')), int(suites.get('failures')), len(cases), len(suites.findall('.//failure')), [case.get('file') for case in cases]])
json.dump(out, sys.stdout)
`
  const read = (texts: readonly string[]): Promise<readonly (readonly unknown[])[]> =>
    new Promise((resolve, reject) => {
      const child = execFile('python3', ['-c', READ], { maxBuffer: 1 << 26 }, (error, stdout) =>
        error === null ? resolve(JSON.parse(stdout) as unknown[][]) : reject(error)
      )
      child.stdin?.end(JSON.stringify(texts))
    })

  test('is XML, whatever the file says, and counts right', async () => {
    const samples = fc.sample(hostile, 60)
    const reports = await Promise.all(samples.map(([name, file]) => site(name, file)))
    for (const strict of [false, true]) {
      const answers = await read(reports.map(report => junit(report, strict)))
      for (const [i, answer] of answers.entries()) {
        const findings = all(reports[i]!)
        const failing = findings.filter(
          ({ severity }) => severity === 'error' || (strict && severity === 'warning')
        ).length
        expect(answer.slice(0, 4)).toEqual([findings.length, failing, findings.length, failing])
      }
    }
  })

  test('a file without findings has passed', async () => {
    const text = junit([{ source: { file: 'a&b.yaml', text: '' }, findings: [] }], true)
    expect(await read([text])).toEqual([[1, 0, 1, 0, ['a&b.yaml']]])
  })
})

test('the problem matcher of docs/editors.md reads the lines of --format compact', async () => {
  const { readFileSync } = await import('node:fs')
  const page = readFileSync(`${root}docs/editors.md`, 'utf8')
  const block = /```json\n(\{[^]*?"problemMatcher"[^]*?)```/.exec(page)?.[1] ?? ''
  const { tasks } = JSON.parse(block) as {
    readonly tasks: readonly {
      readonly problemMatcher: {
        readonly pattern: { readonly regexp: string } & Readonly<Record<string, number>>
      }
    }[]
  }
  const { regexp, ...groups } = tasks[0]!.problemMatcher.pattern
  for (const [name, file] of fc.sample(hostile, 30)) {
    const reports = await site(name, /[\n\r\u2028\u2029]/.test(file) ? 'a.yaml' : file)
    const lines = compact(reports, true).split('\n').slice(0, -1)
    expect(
      lines.map(line => {
        const found = new RegExp(regexp).exec(line)
        return [groups['line'], groups['column'], groups['code']].map(group => found?.[group ?? 0])
      })
    ).toEqual(all(reports).map(({ rule, labels: [{ start }] }) => [`${start.line}`, `${start.column}`, rule]))
  }
})
