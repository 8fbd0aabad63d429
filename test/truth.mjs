// The truth about a network in test/cases and test/field, which stands in the first comments of its file:
//     # truth: error containers.web.localAddress duplicate-address
//     # truth: none
//     # missed: hint containers.web.listens[0] service-unused why no rule tells it
//     # argued: some-rule nat.forwardPorts[0] why an error or warning beyond the truth is right
// `classes.json` says which rules tell a class of mistake; a class that is not in it may be told by any rule.
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'

/** @type {Readonly<Record<string, readonly string[]>>} */
export const CLASSES = JSON.parse(readFileSync(new URL('classes.json', import.meta.url), 'utf8'))

const parsePath = text =>
  Array.from(text.matchAll(/"(?:[^"\\]|\\.)*"|\[(\d+)\]|[^."[\]]+/g), ([step, index]) =>
    index === undefined ? (step.startsWith('"') ? String(JSON.parse(step)) : step) : Number(index)
  )

/** What a file says of itself. */
export const truthOf = text => {
  const lines = (kind, pattern) =>
    Array.from(text.matchAll(new RegExp(`^# ${kind}: (.*)$`, 'gm')), ([, said]) => pattern.exec(said)).filter(
      match => match !== null
    )
  return {
    none: /^# truth: none$/m.test(text),
    truths: [
      ...lines('truth', /^(error|warning|hint) (\S+) (\S+)()$/),
      ...lines('missed', /^(error|warning|hint) (\S+) (\S+) (.+)$/)
    ].map(([, severity, at, type, why]) => ({ severity, at, path: parsePath(at), type, missed: why !== '' })),
    argued: lines('argued', /^(\S+) (\S+) (.+)$/).map(([, rule, at, why]) => ({ rule, at, why }))
  }
}

/** A truth about a key that is not written has its place at the mapping that lacks the key. */
const written = (data, path) => {
  let value = data
  for (const [i, step] of path.entries()) {
    if (typeof value !== 'object' || value === null || !(step in value)) return path.slice(0, i)
    value = value[step]
  }
  return path
}

const isIn = (inner, outer) => outer.every((step, i) => inner[i] === step)

/** Whether a finding with these places tells a truth: a rule of its class, at its place. */
export const teller = text => {
  const data = load(text)
  return (rule, places, { type, path }) =>
    (CLASSES[type]?.includes(rule) ?? true) &&
    places.some(at => isIn(at, path) || isIn(path, at) || isIn(at, written(data, path)))
}
