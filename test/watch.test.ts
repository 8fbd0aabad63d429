import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { built, command, root, start } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'netplan-watch-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeAll(built)

const good = readFileSync(`${root}examples/two-containers.yaml`, 'utf8')
const bad = good.replace('192.168.100.3/29', '192.168.100.2/29')
const file = join(folder, 'topology.yaml')

test('a file is checked again whenever it changes, vanishes or is replaced', {
  timeout: 30_000
}, async () => {
  writeFileSync(file, good)
  const child = spawn(process.execPath, [command, 'check', '--watch', '--format', 'compact'], { cwd: folder })
  try {
    let text = ''
    let wake = (): void => {}
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        wake()
      })
    /** What is printed until it watches again. */
    const printed = async (): Promise<string> => {
      for (;;) {
        const end = /; watching topology\.yaml\n/.exec(text)
        if (end !== null) {
          const found = text.slice(0, end.index + end[0].length)
          text = text.slice(found.length)
          return found
        }
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    }
    expect(await printed()).toBe('netplan: checking\nnetplan: all right; watching topology.yaml\n')
    writeFileSync(file, bad)
    const found = await printed()
    expect(found).toContain('error[duplicate-address]')
    expect(found).toContain('netplan: not all right; watching')
    // As editors save.
    writeFileSync(join(folder, 'new'), good)
    renameSync(join(folder, 'new'), file)
    expect(await printed()).toContain('all right; watching')
    unlinkSync(file)
    expect(await printed()).toContain('cannot read topology.yaml: there is no such file')
    writeFileSync(file, good)
    expect(await printed()).toContain('netplan: all right; watching')
  } finally {
    child.kill('SIGINT')
  }
  expect(await new Promise(resolve => child.on('close', (_, signal) => resolve(signal)))).toBe('SIGINT')
})

test('standard input cannot be watched', async () => {
  const { status, stderr } = await start(process.execPath, [command, 'check', '--watch', '-'], {
    cwd: folder
  })
  expect([status, stderr]).toEqual([2, 'netplan: standard input cannot be watched; name a file\n'])
})

test('it ends when nobody reads', { timeout: 15_000 }, async () => {
  writeFileSync(file, bad)
  const child = spawn(process.execPath, [command, 'check', '--watch', '--format', 'compact'], { cwd: folder })
  const closed = new Promise(resolve => child.on('close', resolve))
  await new Promise(resolve => child.stdout.once('data', resolve))
  child.stdout.destroy()
  writeFileSync(file, `${bad}# once more\n`)
  expect(await closed).toBe(0)
})
