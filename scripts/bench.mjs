// How long netplan takes, as ratios against something else in the same run, so that the figures mean the same on every
// machine: the two-container example against `node -e 0`, large topologies against a process that does nothing but JSON.parse
// the same data, `reach` against `check`. Where a person waits, the time itself is held as well. Runs alternate. Prints a table; its inputs live in a temporary folder and go with it.
// A figure beyond its target sets the exit status; `--runs N` sets how many pairs are measured (default 15).
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

try {
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

  const matrices = { 'on one bridge': together(1000), 'in pairs': pairs(1000), mixed: mixed(1000) }
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
  const widths = table[0].map((_, i) => Math.max(...table.map(cells => cells[i].length)))
  for (const cells of table)
    console.log(
      cells
        .map((cell, i) => (i === 0 || i > 4 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd()
    )
  console.log(`\nNode ${process.version}; medians of ${runs} alternating runs`)
  for (const miss of missed) console.log(`beyond its target: ${miss}`)
  if (missed.length > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
