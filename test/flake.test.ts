import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { root, start } from './command.ts'
import { absentPrograms } from './judge.ts'
import { evalNix, withoutNix } from './nix.ts'

// flake.nix, evaluated by the real nix, and what its derivations run, run: in the files that they name and no others. What
// is not tried is nix's sandbox, and nixpkgs' own functions.

interface Derivation {
  readonly pname: string
  readonly src: readonly string[]
  readonly buildPhase: string
  readonly installPhase: string
  readonly outputHash?: string
}

interface Flake {
  readonly package: Derivation
  readonly modules: Derivation
  readonly app: { readonly type: string; readonly program: string }
  readonly check: string
  readonly overlay: string
  readonly systems: readonly string[]
}

const folder = mkdtempSync(join(tmpdir(), 'netplan-flake-'))
afterAll(() => {
  execFileSync('chmod', ['-R', 'u+w', folder])
  rmSync(folder, { recursive: true, force: true })
})

const modulesOf = (system: string): string => join(folder, `modules-${system}`)
const out = join(folder, 'out')

const flakeOf = async (system: string): Promise<Flake> =>
  (await evalNix(
    `import ${root}test/nixos/flake.nix { system = "${system}"; modules = "${modulesOf(system)}"; out = "${out}"; }`
  )) as unknown as Flake

/** Runs the phases as stdenv does, without its sandbox; the sources cannot be written, as in the store. */
const realise = ({ pname, src, buildPhase, installPhase }: Derivation, target: string): void => {
  const build = mkdtempSync(join(folder, `${pname}-`))
  const temporary = join(build, 'tmp')
  for (const path of src) cpSync(join(root, path), join(build, 'source', path), { recursive: true })
  mkdirSync(temporary)
  execFileSync('bash', ['--norc', '-euo', 'pipefail', '-c', `${buildPhase}\n${installPhase}`], {
    cwd: join(build, 'source'),
    env: {
      PATH: process.env['PATH'],
      NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'],
      TMPDIR: temporary,
      out: target
    },
    timeout: 120_000
  })
}

const SYSTEM = process.arch === 'arm64' ? 'aarch64-linux' : 'x86_64-linux'

const SKIP = withoutNix() || absentPrograms(['npm', 'nix-hash'])

describe.skipIf(SKIP)('the flake', () => {
  let flakes: Readonly<Record<string, Flake>> = {}
  beforeAll(async () => {
    const { systems } = await flakeOf(SYSTEM)
    flakes = Object.fromEntries(
      await Promise.all(systems.map(async system => [system, await flakeOf(system)] as const))
    )
  })

  test('has a package, an app, a check and an overlay', () => {
    const { app, check, overlay, systems } = flakes[SYSTEM]!
    expect(systems).toEqual(['aarch64-linux', 'x86_64-linux'])
    expect(app).toEqual({ type: 'app', program: `${out}/bin/netplan` })
    expect(check).toContain(`${out}/bin/netplan check `)
    expect(overlay).toBe('nspawn-netplan')
  })

  test.each(['x86_64-linux', 'aarch64-linux'])(
    'what npm installs from the lock has the hash of the flake: %s',
    async system => {
      const { modules } = flakes[system]!
      realise(modules, modulesOf(system))
      const hex = execFileSync('nix-hash', ['--type', 'sha256', modulesOf(system)], { encoding: 'utf8' })
      expect(`sha256-${Buffer.from(hex.trim(), 'hex').toString('base64')}`).toBe(modules.outputHash)
    }
  )

  test('the package is built from that, and runs', async () => {
    const { package: own } = flakes[SYSTEM]!
    realise(own, out)
    chmodSync(out, 0o555)
    for (const name of ['netplan', 'nspawn-netplan']) {
      const { status, stdout } = await start(
        join(out, 'bin', name),
        ['check', 'examples/two-containers.yaml'],
        {
          cwd: root
        }
      )
      expect([status, stdout]).toEqual([0, ''])
    }
  })
})
