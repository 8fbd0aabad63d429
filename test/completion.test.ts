import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built, command, start } from './command.ts'
import { absentPrograms } from './judge.ts'

// The shells themselves complete.

const folder = mkdtempSync(join(tmpdir(), 'netplan-completion-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeAll(() => {
  built()
  for (const name of ['netplan', 'nspawn-netplan']) symlinkSync(command, join(folder, name))
  writeFileSync(join(folder, 'home.yaml'), 'version: 1\n')
})

/** What a shell offers for each line, which ends where the cursor is. */
const SHELLS = {
  bash: (words: readonly string[]) => `
    source <(netplan completion bash)
    COMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
    compopt() { :; }
    _${words[0]?.replace('-', '_')}
    # What "complete -o default" does with no answer.
    (( \${#COMPREPLY[@]} )) && printf '%s\\n' "\${COMPREPLY[@]}" || compgen -f -- '${words.at(-1)}'`,
  zsh: (words: readonly string[]) => `
    compdef() { :; }
    _describe() { print -rl -- "\${(@)\${(@P)2}%%:*}" }
    _files() { print -rl -- *(N) }
    source <(netplan completion zsh)
    words=(${words.map(word => `'${word}'`).join(' ')}) CURRENT=${words.length}
    _${words[0]?.replace('-', '_')} | grep -e '^${words.at(-1)}'`,
  fish: (words: readonly string[]) => `
    netplan completion fish | source
    complete -C '${words.join(' ')}' | cut -f 1`
}

const RUN = {
  bash: ['--norc', '--noprofile', '-c'],
  zsh: ['-f', '-c'],
  fish: ['--no-config', '-c']
}

describe.each(['bash', 'zsh', 'fish'] as const)('%s completes', shell => {
  test.skipIf(absentPrograms([shell])).each([
    [['netplan', 'che'], ['check']],
    [['nspawn-netplan', 'gen'], ['generate']],
    [['netplan', 'check', '--str'], ['--strict']],
    [
      ['netplan', 'generate', '--target', 'n'],
      ['networkd', 'nftables', 'nixos']
    ],
    [['netplan', 'explain', 'duplicate-a'], ['duplicate-address']],
    [['netplan', 'init', 'lan'], ['lan-bridge']],
    [['netplan', 'completion', 'z'], ['zsh']],
    [['netplan', 'check', 'ho'], ['home.yaml']],
    // No option before one is begun.
    [
      ['netplan', 'plan', ''],
      ['home.yaml', 'netplan', 'nspawn-netplan']
    ]
  ])('%j', async (words, expected) => {
    const { stdout, stderr } = await start(shell, [...RUN[shell], SHELLS[shell](words)], {
      cwd: folder,
      env: { PATH: `${folder}${delimiter}${process.env['PATH']}`, HOME: folder }
    })
    const found = stdout.split('\n').filter(line => line.startsWith(words.at(-1)!) && line !== '')
    expect([[...new Set(found)].sort(), stderr]).toEqual([expected, ''])
  })
})
