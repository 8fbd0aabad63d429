// How long netplan takes, as ratios against something else in the same run, so that the figures mean the same on every
// machine: the two-container example against `node -e 0`, large topologies against a process that does nothing but JSON.parse
// the same data, `reach` against `check`. Where a person waits, the time itself is held as well. Runs alternate. Prints a table; its inputs live in a temporary folder and go with it.
// A figure beyond its target sets the exit status; `--runs N` sets how many pairs are measured (default 15).
// A second table has other programs of the kind beside it, as far as they are installed: Canonical's netplan.io, yamllint,
// nix-instantiate, spectral (environment variables NETPLAN_IO, YAMLLINT, NIX_INSTANTIATE and SPECTRAL name another one than that
// in PATH). They do not do the same; they are what people run on files of this kind and size. `--peers` makes that table alone.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dump } from 'js-yaml'

const root = fileURLToPath(new URL('../', import.meta.url))
const netplan = join(root, 'dist/netplan.cjs')
const folder = mkdtempSync(join(tmpdir(), 'netplan-bench-'))
const runs = Number(process.argv[process.argv.indexOf('--runs') + 1]) || 15

const bridgeOf = i => ({ name: `br${Math.floor(i / 250)}`, net: Math.floor(i / 250), host: (i % 250) + 2 })
const four = net => `10.${Math.floor(net / 256)}.${net % 256}`
const six = net => `fd12:3456:789a:${(net + 1).toString(16)}:`

/** The containers of examples/two-containers.yaml, containerA again and again, 250 to a bridge. */
const plain = count => {
  const bridges = {}
  const containers = {}
  for (let i = 0; i < count; i += 1) {
    const { name, net, host } = bridgeOf(i)
    bridges[name] ??= { address: [`${four(net)}.1/24`], interfaces: [] }
    containers[`container${i}`] = {
      autoStart: true,
      privateNetwork: true,
      hostBridge: name,
      localAddress: `${four(net)}.${host}/24`,
      defaultGateway: { address: `${four(net)}.1`, interface: 'eth0' },
      useHostResolvConf: false,
      resolved: true
    }
  }
  const nat = { enable: true, internalInterfaces: Object.keys(bridges), externalInterface: 'enp1s0' }
  return { version: 1, nat, bridges, containers }
}

/** The same with IPv6 in every third container, and a service with its forward in every tenth. */
const mixed = count => {
  const topology = plain(count)
  const { bridges, containers, nat } = topology
  nat.enableIPv6 = true
  nat.forwardPorts = []
  for (const [i, container] of Object.values(containers).entries()) {
    const { name, net, host } = bridgeOf(i)
    if (host === 2) bridges[name].address.push(`${six(net)}:1/64`)
    if (i % 3 === 0) {
      container.localAddress6 = `${six(net)}:${host.toString(16)}/64`
      container.defaultGateway6 = { address: `${six(net)}:1`, interface: 'eth0' }
    }
    if (i % 10 > 0) continue
    container.firewall = { allowedTCPPorts: [80] }
    container.listens = [{ name: 'httpd', port: 80 }]
    nat.forwardPorts.push({ sourcePort: 1024 + i / 10, destination: `${four(net)}.${host}:80` })
  }
  return topology
}

/** 1,000 containers, and ports of the host forwarded to them, TCP and UDP in turns. */
const forwarding = count => {
  const topology = plain(1000)
  topology.nat.forwardPorts = Array.from({ length: count }, (_, i) => ({
    sourcePort: 1024 + Math.floor(i / 2),
    proto: i % 2 === 0 ? 'tcp' : 'udp',
    destination: `${four(Math.floor((i % 1000) / 250))}.${(i % 250) + 2}:80`
  }))
  return topology
}

/** Everything auto: bridges of 250 containers out of a /12. */
const automatic = count => {
  const topology = plain(count)
  delete topology.nat
  for (const bridge of Object.values(topology.bridges)) Object.assign(bridge, { address: 'auto', size: 254 })
  for (const container of Object.values(topology.containers)) {
    container.localAddress = 'auto'
    container.defaultGateway.address = 'auto'
  }
  return { ...topology, pools: { main: { prefix: '10.16.0.0/12' } } }
}

/** 1,000 pairs, each with a port of its own, open, heard, and forwarded from the same port of the host, in both families. */
const pairs = count => {
  const containers = {}
  const forwardPorts = []
  for (let i = 0; i < count; i += 1) {
    const [net, port] = [four(i), 8000 + i]
    containers[`container${i}`] = {
      privateNetwork: true,
      hostAddress: `${net}.1`,
      localAddress: `${net}.2`,
      hostAddress6: `${six(i)}:1`,
      localAddress6: `${six(i)}:2`,
      firewall: { allowedTCPPorts: [port] },
      listens: [{ port }]
    }
    forwardPorts.push({ sourcePort: port, destination: `${net}.2:${port}` })
  }
  const nat = {
    enable: true,
    enableIPv6: true,
    internalInterfaces: ['ve-+'],
    externalInterface: 'enp1s0',
    forwardPorts
  }
  return { version: 1, nat, containers }
}

/** All of them on one bridge. */
const together = count => {
  const containers = {}
  for (let i = 0; i < count; i += 1)
    containers[`container${i}`] = {
      privateNetwork: true,
      hostBridge: 'br0',
      localAddress: `10.0.${Math.floor(i / 250)}.${(i % 250) + 2}/16`,
      defaultGateway: { address: '10.0.0.1', interface: 'eth0' }
    }
  const nat = { enable: true, internalInterfaces: ['br0'], externalInterface: 'enp1s0' }
  return { version: 1, nat, bridges: { br0: { address: ['10.0.0.1/16'] } }, containers }
}

/** Ports, firewall and forward of each its own. */
const different = count => {
  const topology = together(count)
  const address = i => `10.0.${Math.floor(i / 250)}.${(i % 250) + 2}`
  for (const [i, container] of Object.values(topology.containers).entries()) {
    container.firewall = {
      enable: i % 11 > 0,
      allowedTCPPorts: [80, 8000 + i],
      allowedTCPPortRanges: [{ from: 30_000 + i, to: 30_000 + 2 * i }],
      allowedUDPPorts: i % 2 === 0 ? [20_000 + i] : [],
      allowPing: i % 3 > 0,
      rejectPackets: i % 5 === 0,
      checkReversePath: [true, 'loose', false][i % 3]
    }
    container.listens = [{ port: 80 }, { port: 8000 + i }, { port: 20_000 + i, protocol: 'udp' }]
  }
  topology.nat.forwardPorts = Array.from({ length: count }, (_, i) => ({
    sourcePort: 8000 + i,
    destination: `${address(i)}:${8000 + i}`
  }))
  return topology
}

const bridgesOf = count => Array.from({ length: count }, (_, i) => [`br${i}`, `${four(i)}.1/24`])

/** Bridges, an address each: as ours, and as Canonical's netplan reads them. */
const bridged = count => ({
  version: 1,
  host: { manager: 'networkd' },
  bridges: Object.fromEntries(bridgesOf(count).map(([name, address]) => [name, { address: [address] }]))
})
const canonical = count => ({
  network: {
    version: 2,
    renderer: 'networkd',
    bridges: Object.fromEntries(bridgesOf(count).map(([name, address]) => [name, { addresses: [address] }]))
  }
})

/** Three of the things that a generic linter can be told to look at. */
const SPECTRAL_RULES = `
rules:
  private-network:
    given: $.containers[*]
    severity: error
    then: { field: privateNetwork, function: truthy }
  address-with-prefix:
    given: $.containers[*].localAddress
    severity: error
    then: { function: pattern, functionOptions: { match: '^[0-9.]+/[0-9]+$' } }
  gateway-with-interface:
    given: $.containers[*].defaultGateway
    severity: error
    then: { field: interface, function: truthy }
`

/** The same splits by python's ipaddress: the networks, and the first hosts of each. */
const PYTHON = `
import ipaddress, itertools, sys
for net in itertools.islice(ipaddress.ip_network('10.16.0.0/12').subnets(new_prefix=24), int(sys.argv[1])):
    print(*('%s/24' % host for host in itertools.islice(net.hosts(), 251)))
`

/** What a command says that cannot run here. */
class Unable extends Error {}

const start = args => {
  const before = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8'
  })
  if (status === 3) throw new Unable(stderr.trim().split('\n')[0])
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`)
  return performance.now() - before
}

/** The most memory that a command had, in MB: it tells on a pipe of its own when it ends. */
const memory = args => {
  const hook = join(folder, 'memory.cjs')
  writeFileSync(
    hook,
    "process.on('exit', () => require('fs').writeSync(3, String(process.resourceUsage().maxRSS)))"
  )
  const { output } = spawnSync(process.execPath, ['--require', hook, ...args], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe']
  })
  return Math.round(Number(output[3]) / 1024)
}

const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

/** Both commands in turns; the medians of their times, and of the ratios of the pairs. */
const compare = (command, base, pairs) => {
  start(command)
  start(base)
  const times = Array.from({ length: pairs }, () => [start(command), start(base)])
  return {
    time: median(times.map(([time]) => time)),
    base: median(times.map(([, time]) => time)),
    ratio: median(times.map(([time, base]) => time / base))
  }
}

/** A program of that name: the one that a variable names, else the first in PATH that is of its kind. */
const program = (variable, name, isOfKind = () => true) => {
  const named = process.env[variable] ?? ''
  const files =
    named === '' ? (process.env.PATH ?? '').split(delimiter).map(folder => join(folder, name)) : [named]
  return files.find(file => {
    try {
      accessSync(file, constants.X_OK)
      return isOfKind(file)
    } catch {
      return false
    }
  })
}

const said = (file, args) =>
  spawnSync(file, args, { encoding: 'utf8', timeout: 20_000, env: { ...process.env, LC_ALL: 'C' } }).stdout ??
  ''

/** The processor's time of all that have ended, to 10 ms: other work on the machine does not lengthen it. Else the clock. */
const spent = () => {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')
    return (Number(fields[13]) + Number(fields[14])) * 10
  } catch {
    return performance.now()
  }
}

const timed = (file, args, env) => {
  const before = spent()
  const { status, error, stderr } = spawnSync(file, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    env: { ...process.env, ...env }
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr.slice(0, 2000)}`)
  return spent() - before
}

/** So many milliseconds. */
const LONG = 10_000

/** Other programs beside ours, in turns, each at its best. */
const peerTable = () => {
  const table = [['what', 'netplan', 'the other', 'times', 'the other is']]
  const versions = []
  const others = new Map()
  const write = (name, data) => {
    const file = join(folder, name)
    writeFileSync(file, data)
    return file
  }
  const json = (name, data) => write(`${name}.json`, JSON.stringify(data))
  const yaml = (name, data) => write(`${name}.yaml`, dump(data, { noRefs: true, lineWidth: -1 }))
  const beside = (what, own, file, args, env) => {
    const key = [file, ...args].join('\n')
    const ours = []
    // What takes very long is run once.
    const theirs = others.get(key) ?? []
    for (let i = 0; i < Math.min(runs, 5); i += 1) {
      ours.push(timed(process.execPath, [netplan, ...own]))
      if (!others.has(key) && (theirs[0] ?? 0) < LONG) theirs.push(timed(file, args, env))
    }
    others.set(key, theirs)
    const [best, other] = [Math.min(...ours), Math.min(...theirs)]
    return [what, `${best.toFixed(0)} ms`, `${other.toFixed(0)} ms`, `${(other / best).toFixed(1)}x`]
  }
  const peer = (name, file, version, measure) => {
    if (file === undefined) {
      table.push([name, 'skipped', '', '', 'not installed'])
      return
    }
    versions.push(version(file))
    for (const [row, whose] of measure(file)) table.push([...row, whose])
  }

  const canonicals = program('NETPLAN_IO', 'netplan', file => said(file, ['info']).includes('netplan.io'))
  const debian = () =>
    `netplan.io ${said('dpkg-query', ['-W', '-f', '${Version}', 'netplan.io']) || '(version unknown)'}`
  peer('netplan.io', canonicals, debian, file =>
    [1, 1000, 10_000].flatMap(count => {
      const own = json(`bridges-${count}`, bridged(count))
      const place = join(folder, `canonical-${count}`)
      mkdirSync(join(place, 'etc/netplan'), { recursive: true })
      writeFileSync(
        join(place, 'etc/netplan/bridges.yaml'),
        dump(canonical(count), { noRefs: true, lineWidth: -1 }),
        { mode: 0o600 }
      )
      const args = ['generate', '--root-dir', place]
      const name = `${count.toLocaleString('en')} bridge${count === 1 ? '' : 's'}`
      const inYaml = yaml(`bridges-${count}`, bridged(count))
      const out = join(folder, `units-${count}`)
      return [
        [beside(`check, ${name}, JSON`, ['check', own], file, args), 'netplan.io generate'],
        [beside(`check, ${name}, YAML`, ['check', inYaml], file, args), 'netplan.io generate'],
        [
          beside(
            `generate networkd again, ${name}, YAML`,
            ['generate', inYaml, '--target', 'networkd', '--out', out],
            file,
            args
          ),
          'netplan.io generate'
        ]
      ]
    })
  )
  const thousand = yaml('thousand', plain(1000))
  const example = join(root, 'examples/two-containers.yaml')
  peer(
    'yamllint',
    program('YAMLLINT', 'yamllint'),
    file => said(file, ['--version']).trim(),
    file =>
      [
        ['two containers, YAML', example],
        ['1,000 containers, YAML', thousand]
      ].map(([what, topology]) => [
        beside(`check, ${what}`, ['check', topology], file, ['-d', 'relaxed', topology]),
        'yamllint -d relaxed'
      ])
  )
  const nixVersion = file => said(file, ['--version']).trim()
  peer('nix-instantiate', program('NIX_INSTANTIATE', 'nix-instantiate'), nixVersion, file => {
    const out = join(folder, 'module')
    timed(process.execPath, [netplan, 'generate', thousand, '--target', 'nixos', '--out', out])
    const module = join(out, 'network.nix')
    const args = ['--eval', '--strict', '-E', `import ${module} { }`]
    const generate = ['generate', thousand, '--target', 'nixos', '--out', out]
    return [
      [
        beside('check, 1,000 containers, YAML', ['check', thousand], file, args, { NIX_REMOTE: 'dummy://' }),
        'nix-instantiate --eval --strict of the module'
      ],
      [
        beside('generate nixos, 1,000 containers, YAML', generate, file, args, { NIX_REMOTE: 'dummy://' }),
        'nix-instantiate --eval --strict of the module'
      ]
    ]
  })
  const spectralVersion = file => `spectral ${said(file, ['--version']).trim()}`
  peer('spectral', program('SPECTRAL', 'spectral'), spectralVersion, file => {
    const ruleset = write('spectral.yaml', SPECTRAL_RULES)
    return [
      ['two containers, YAML', example],
      ['1,000 containers, YAML', thousand]
    ].map(([what, topology]) => [
      beside(`check, ${what}`, ['check', topology], file, ['lint', '--ruleset', ruleset, topology]),
      'spectral, three rules'
    ])
  })
  print(table, 4)
  if (versions.length > 0)
    console.log(
      `\n${versions.join(', ')}; processor time (user and system), the least of ${Math.min(runs, 5)} runs each`
    )
}

/** A table whose columns from `text` on, and the first, are texts, and the others figures. */
const print = (table, text) => {
  const widths = table[0].map((_, i) => Math.max(...table.map(cells => cells[i].length)))
  for (const cells of table)
    console.log(
      cells
        .map((cell, i) => (i === 0 || i >= text ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd()
    )
}

const rows = []
const missed = []
const row = (what, against, { time, base, ratio }, memory, target) => {
  rows.push([
    what,
    `${time.toFixed(0)} ms`,
    `${base.toFixed(0)} ms`,
    `${ratio.toFixed(2)}x`,
    memory,
    target,
    against
  ])
}
const hold = (what, value, most) => {
  if (value > most) missed.push(`${what}: ${value.toFixed(2)}, at most ${most}`)
}

const ownTable = () => {
  const small = compare([netplan, 'check', join(root, 'examples/two-containers.yaml')], ['-e', '0'], runs * 2)
  row('two containers, YAML', 'node -e 0', small, '', '1.25x')
  hold('two containers over node -e 0', small.ratio, 1.25)

  const time = {}
  for (const count of [1000, 10_000, 100_000]) {
    const pairs = count === 100_000 ? Math.min(runs, 7) : runs
    const kinds = {
      containers: plain(count),
      'containers, mixed': mixed(count),
      forwards: forwarding(count)
    }
    for (const [kind, data] of Object.entries(kinds)) {
      const json = join(folder, 'topology.json')
      const yaml = join(folder, 'topology.yaml')
      writeFileSync(json, JSON.stringify(data))
      writeFileSync(yaml, dump(data, { noRefs: true, lineWidth: -1 }))
      const base = ['-e', `JSON.parse(require('fs').readFileSync(${JSON.stringify(json)}, 'utf8'))`]
      for (const file of [json, yaml]) {
        const name = `${count.toLocaleString('en')} ${kind}, ${file === json ? 'JSON' : 'YAML'}`
        const command = [netplan, 'check', file]
        const figures = compare(command, base, pairs)
        const megabytes = memory(command)
        const judged = file === json && kind !== 'containers, mixed'
        row(name, 'JSON.parse', figures, `${megabytes} MB`, judged && count === 100_000 ? '6x, 320 MB' : '')
        if (judged) time[`${count} ${kind}`] = figures.time
        if (judged && count === 100_000) {
          hold(`${name} over JSON.parse`, figures.ratio, 6)
          hold(`memory of ${name} in MB`, megabytes, 320)
        }
      }
    }
  }
  for (const kind of ['containers', 'forwards']) {
    const growth = time[`100000 ${kind}`] / time[`10000 ${kind}`]
    rows.push([`100,000 over 10,000 ${kind}, JSON`, '', '', `${growth.toFixed(2)}x`, '', '9x', ''])
    hold(`100,000 ${kind} over 10,000`, growth, 9)
  }

  const matrices = {
    'on one bridge': together(1000),
    'in pairs': pairs(1000),
    mixed: mixed(1000),
    'all different': different(1000)
  }
  for (const [kind, data] of Object.entries(matrices)) {
    const file = join(folder, 'matrix.json')
    writeFileSync(file, JSON.stringify(data))
    for (const format of ['table', 'json']) {
      const name = `reach, 1,000 containers ${kind}, ${format}`
      const command = [netplan, 'reach', '--format', format, file]
      const figures = compare(command, [netplan, 'check', file], Math.min(runs, 5))
      row(name, 'netplan check', figures, `${memory(command)} MB`, '2000 ms')
      hold(`${name} in ms`, figures.time, 2000)
    }
  }

  const fifty = join(folder, 'fifty.json')
  writeFileSync(fifty, JSON.stringify(together(50)))
  const rehearsals = [
    ['two containers', join(root, 'examples/two-containers.yaml'), 1000],
    ['50 containers on one bridge', fifty, 2500]
  ]
  for (const [kind, file, most] of rehearsals) {
    try {
      const figures = compare([netplan, 'rehearse', file], ['-e', '0'], Math.min(runs, 5))
      row(`rehearse, ${kind}`, 'node -e 0', figures, '', `${most} ms`)
      hold(`rehearsal of ${kind} in ms`, figures.time, most)
    } catch (error) {
      if (!(error instanceof Unable)) throw error
      rows.push([`rehearse, ${kind}`, 'skipped', '', '', '', `${most} ms`, error.message])
    }
  }

  const count = 100_000
  const file = join(folder, 'automatic.json')
  writeFileSync(file, JSON.stringify(automatic(count)))
  const planned = compare([netplan, 'plan', file], [netplan, 'check', file], Math.min(runs, 5))
  row(
    'netplan plan of 100,000 auto in a /12',
    'netplan check',
    planned,
    `${memory([netplan, 'plan', file])} MB`,
    '2x'
  )
  hold('netplan plan over netplan check', planned.ratio, 2)
  const bridges = String(Math.ceil(count / 250))
  const before = performance.now()
  const python = spawnSync('python3', ['-c', PYTHON, bridges], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const pythons = performance.now() - before
  if (python.error === undefined) {
    const { stdout } = spawnSync(process.execPath, [netplan, 'plan', '--format', 'json', file], {
      encoding: 'utf8',
      maxBuffer: 1 << 30
    })
    const plan = JSON.parse(stdout)
    const own = new Map(plan.bridges.map(({ name, addresses }) => [name, [...addresses]]))
    const ours = plan.containers
      .toSorted((a, b) => Number(a.name.slice(9)) - Number(b.name.slice(9)))
      .flatMap(({ interfaces }) => interfaces)
    for (const { bridge, addresses } of ours) own.get(bridge).push(...addresses)
    const theirs = python.stdout.trim().split('\n')
    const wrong = theirs.filter((line, i) => own.get(`br${i}`)?.join(' ') !== line).length
    rows.push([
      `${bridges} networks, as python's ipaddress splits them`,
      wrong === 0 ? 'equal' : `${wrong} differ`,
      `${pythons.toFixed(0)} ms`,
      '',
      '',
      'equal',
      'python'
    ])
    hold("networks that python's ipaddress splits otherwise", wrong, 0)
  }

  const table = [['netplan', 'time', 'base', 'ratio', 'memory', 'at most', 'base is'], ...rows]
  print(table, 5)
  console.log(`\nmedians of ${runs} alternating runs`)
  for (const miss of missed) console.log(`beyond its target: ${miss}`)
  if (missed.length > 0) process.exitCode = 1
}

try {
  if (!process.argv.includes('--peers')) {
    ownTable()
    console.log()
  }
  peerTable()
  const [{ model }] = cpus()
  const day = new Date().toISOString().slice(0, 10)
  console.log(`${day}, ${cpus().length} x ${model}, Linux ${release()}, Node ${process.version}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
