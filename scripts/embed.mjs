// What is computed from other files when the program is bundled, so that nothing is read or compiled at run time:
//   embed:validator  ajv's compiled validator of schemas/topology.schema.json
//   embed:schema     that file's text
//   embed:pages      docs/rules/*.md by rule id
//   embed:patterns   src/cli/patterns/*.yaml by name
// One plugin serves the bundler and the tests, so both run the same code.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Ajv2020 } from 'ajv/dist/2020.js'
import standalone from 'ajv/dist/standalone/index.js'

const root = new URL('../', import.meta.url)
const read = path => readFileSync(new URL(path, root), 'utf8')
const require = createRequire(import.meta.url)

/** The schema without what is only there for readers, which the compiled validator would carry along. */
const bare = (node, isMapOfSchemas = false) => {
  if (Array.isArray(node) || typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => isMapOfSchemas || !['description', 'examples', 'title'].includes(key))
      .map(([key, value]) => [key, bare(value, !isMapOfSchemas && ['properties', '$defs'].includes(key))])
  )
}

const validator = () => {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    messages: false,
    inlineRefs: false,
    code: { source: true, esm: true, lines: false }
  })
  const validate = ajv.compile(bare(JSON.parse(read('schemas/topology.schema.json'))))
  return standalone.default(ajv, validate).replace(/require\("(ajv[^"]*)"\)/g, (_, id) => {
    throw new Error(`the compiled validator needs ${require.resolve(id)}; import it here`)
  })
}

const pages = () => {
  const files = readdirSync(new URL('docs/rules/', root)).filter(file => file.endsWith('.md'))
  const entries = files.sort().map(file => [file.slice(0, -3), read(`docs/rules/${file}`)])
  return `export default ${JSON.stringify(Object.fromEntries(entries))}`
}

/** The files of `netplan init` by name. */
const patterns = () => {
  const files = readdirSync(new URL('src/cli/patterns/', root)).sort()
  return `export default ${JSON.stringify(Object.fromEntries(files.map(file => [file.slice(0, -5), read(`src/cli/patterns/${file}`)])))}`
}

const modules = {
  'embed:validator': validator,
  'embed:schema': () => `export default ${JSON.stringify(read('schemas/topology.schema.json'))}`,
  'embed:pages': pages,
  'embed:patterns': patterns
}

export const embed = () => ({
  name: 'embed',
  resolveId: id => (id in modules ? `\0${id}` : undefined),
  load: id => (id.startsWith('\0embed:') ? modules[id.slice(1)]() : undefined)
})
