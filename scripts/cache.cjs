'use strict'
// Checks a topology with dist/lib/netplan.cjs and keeps the code that V8 compiled on the way; scripts/launcher.cjs uses it.
const { readFileSync, writeFileSync } = require('node:fs')
const { createRequire, wrap } = require('node:module')
const { dirname, resolve } = require('node:path')
const { Script } = require('node:vm')

const filename = resolve('dist/lib/netplan.cjs')
const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename })
process.argv = [process.argv0, filename, 'check', 'examples/two-containers.yaml']
process.on('exit', () => {
  writeFileSync(`dist/lib/${process.version}-${process.arch}.cache`, script.createCachedData())
})
script.runInThisContext()(exports, createRequire(filename), module, filename, dirname(filename))
