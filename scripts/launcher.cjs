#!/usr/bin/env node
'use strict'
// Runs lib/netplan.cjs with the code that V8 made of it at build time (lib/*.cache), which saves half of the start-up.
// There is one only for the Node that built it; without it, or when V8 refuses it, the program is compiled as usual.
const { readFileSync } = require('node:fs')
const { Module, createRequire, wrap } = require('node:module')
const { dirname, join } = require('node:path')
const { Script } = require('node:vm')

const filename = join(__dirname, 'lib', 'netplan.cjs')
let cachedData
try {
  cachedData = readFileSync(join(__dirname, 'lib', `${process.version}-${process.arch}.cache`))
} catch {}
const script = new Script(wrap(readFileSync(filename, 'latin1')), { filename, cachedData })
// What is loaded later requires this module; it must find it running instead of starting it a second time.
const entry = new Module(filename, module)
entry.filename = filename
require.cache[filename] = entry
script.runInThisContext()(entry.exports, createRequire(filename), entry, filename, dirname(filename))
