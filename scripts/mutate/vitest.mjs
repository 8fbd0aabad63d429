// Stands for `vitest` in the bundle of the tests: collects them, so that one process can run any of them at any time. What the tests
// use of vitest is here and no more; assertions are its own.
import { GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend, setState } from '@vitest/expect'
import { ASYMMETRIC_MATCHERS_OBJECT } from '@vitest/expect'
import * as chai from 'chai'
import fc from 'fast-check'

// The same cases each time: a change that a random test notices today must not go unnoticed tomorrow.
fc.configureGlobal({ seed: 20_261_122, numRuns: 30 })

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin)

/** Of texts, and without regard to how far in they stand. */
const flush = text => text.replace(/^\s+/gm, '').trim()
chai.use((_, utils) =>
  utils.addMethod(chai.Assertion.prototype, 'toMatchInlineSnapshot', function (text) {
    new chai.Assertion(flush(`"${this._obj}"`)).to.equal(flush(text))
  })
)

export const expect = (value, message) => chai.expect(value, message)
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT])
globalThis[GLOBAL_EXPECT] = expect
setState({ assertionCalls: 0 }, expect)

/** All tests: `{ id, run }`. */
export const tests = []

let names = []
let before = []
let each = []

const collect = (name, body, skip) => {
  if (skip || body === undefined) return
  const once = before
  const always = each
  const id = `${tests.length} ${[...names, name].join(' > ')}`
  const run = async () => {
    for (const hook of once) await hook()
    for (const hook of always) await hook()
    await body()
  }
  tests.push({ id, run })
}

const group = (name, body, skip) => {
  if (skip || body === undefined) return
  const outer = [names, before, each]
  names = [...names, name]
  body()
  ;[names, before, each] = outer
}

/** `(name, body)`, `(name, options, body)` or `(name, body, timeout)`. */
const bodyOf = rest => rest.find(one => typeof one === 'function')

const titled = (name, row) =>
  name.replace(/\$([\w.]+)|%[sidj]/g, (_, path) =>
    String(
      path === undefined
        ? Array.isArray(row)
          ? row[0]
          : row
        : path.split('.').reduce((value, key) => value?.[key], row)
    )
  )

const made = (take, skip = false) => {
  const one = (name, ...rest) => take(String(name), bodyOf(rest), skip)
  const rows =
    table =>
    (name, ...rest) => {
      const body = bodyOf(rest)
      for (const row of table)
        take(titled(name, row), () => (Array.isArray(row) ? body(...row) : body(row)), skip)
    }
  return Object.assign(one, {
    each: rows,
    for:
      table =>
      (name, ...rest) => {
        for (const row of table) take(titled(name, row), () => bodyOf(rest)(row), skip)
      },
    // What depends on what the machine has starts processes.
    skipIf: () => made(take, true),
    runIf: () => made(take, true),
    get concurrent() {
      return one
    },
    get sequential() {
      return one
    }
  })
}

export const test = made(collect)
export const it = test
export const describe = made(group)

/** Once for all tests of its group, before the first of them that runs. */
export const beforeAll = hook => {
  let done
  before = [...before, () => (done ??= hook())]
}
export const beforeEach = hook => {
  each = [...each, hook]
}
// What a process that ends leaves behind in its temporary folder is the caller's to remove.
export const afterAll = () => {}
export const afterEach = () => {}

/** A file's own hooks end with the file. */
export const endOfFile = () => {
  names = []
  before = []
  each = []
}
