// The prober for machines without Perl, in the same words (prober.ts). Node can neither change its namespace nor open a raw
// socket: there is a process for each namespace, nobody is pinged, and who refuses is not seen. Services tell those who
// connect what they have seen.

export const NODE: string = String.raw`
const { spawn, execFile } = require('node:child_process')
const dgram = require('node:dgram')
const net = require('node:net')
const { createInterface } = require('node:readline')

const MARK = 'netplan '
const SEEN = {
  ECONNREFUSED: 'refused', ECONNRESET: 'refused', EHOSTUNREACH: 'no-neighbour', ENETUNREACH: 'no-route',
  EADDRNOTAVAIL: 'no-route', EINVAL: 'no-route'
}

// In one namespace: its services, and what is asked from there, a few at a time.
const inside = space => {
  const serve = (protocol, address, port) => {
    for (const host of address === '*' ? ['0.0.0.0', '::'] : [address]) {
      if (protocol === 'tcp') {
        const server = net.createServer(peer => {
          peer.on('error', () => {})
          peer.end(MARK + space + ' ' + peer.remoteAddress)
        })
        server.on('error', () => {})
        server.listen({ host, port, ipv6Only: true, backlog: 4096 })
      } else {
        const socket = dgram.createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', ipv6Only: host.includes(':') })
        socket.on('error', () => {})
        socket.on('message', (data, sender) => {
          if (data.toString().startsWith(MARK)) socket.send(MARK + space + ' ' + sender.address, sender.port, sender.address)
        })
        socket.bind({ port, address: host })
      }
    }
  }
  const connect = (host, port, done) => {
    let text = ''
    const peer = net.connect({ host, port })
    peer.on('connect', () => done('answered', undefined))
    peer.on('data', data => (text += data))
    peer.on('end', () => done('answered', text))
    peer.on('error', ({ code }) => done(SEEN[code] ?? 'timeout'))
    return () => peer.resetAndDestroy()
  }
  const ask = ([probe, , protocol, host, port], wait) =>
    new Promise(resolve => {
      const ends = []
      let isConnected = false
      const finish = (seen, text) => {
        if (ends.length === 0) return
        for (const end of ends.splice(0)) end()
        const who = text?.startsWith(MARK) ? text.slice(MARK.length) : '- -'
        process.stdout.write('answer ' + probe + ' ' + seen + ' ' + who + '\n')
        resolve()
      }
      const timer = setTimeout(() => finish(isConnected ? 'answered' : 'timeout'), wait)
      ends.push(() => clearTimeout(timer))
      if (protocol === 'tcp') {
        ends.push(connect(host, Number(port), (seen, text) => {
          if (seen === 'answered' && text === undefined) isConnected = true
          else finish(seen, text)
        }))
        return
      }
      const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
      ends.push(() => socket.close())
      socket.on('error', ({ code }) => finish(SEEN[code] ?? 'timeout'))
      socket.on('message', data => finish('answered', data.toString()))
      socket.connect(Number(port), host, error => {
        if (error) finish(SEEN[error.code] ?? 'timeout')
        else socket.send(MARK)
      })
      // Of UDP the kernel does not tell Node that there is no way; of TCP it does.
      ends.push(connect(host, Number(port), seen => {
        if (seen === 'no-route' || seen === 'no-neighbour') finish(seen)
      }))
    })
  let probes = []
  createInterface({ input: process.stdin }).on('line', line => {
    const [what, ...words] = line.split(' ')
    if (what === 'listen') serve(words[1], words[2], Number(words[3]))
    else if (what === 'probe') probes.push(words)
    else if (what === 'go') {
      const rest = probes
      probes = []
      // A router without a route is seen when TCP asks again, after a second: the first time its socket is busy.
      const wait = Math.max(Number(words[0]), 1300)
      const next = async () => {
        for (let probe = rest.shift(); probe !== undefined; probe = rest.shift()) await ask(probe, wait)
      }
      void Promise.all(Array.from({ length: 64 }, next)).then(() => process.stdout.write('done\n'))
    }
  }).on('close', () => process.exit())
  process.stdout.write('done\n')
}

// In the host's: starts the others, and hands on what they are asked and what they answer.
const outside = async () => {
  const spaces = []
  const open = (index, path) => {
    const own = [process.execPath, __filename, index]
    const [program, ...words] = path === '-' ? own : ['nsenter', '--net=' + path, ...own]
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdin.on('error', () => {})
    const space = { name: path.split('/').pop(), child, done: () => {} }
    space.isReady = new Promise(resolve => (space.done = resolve))
    createInterface({ input: child.stdout }).on('line', line => {
      if (line === 'done') space.done()
      else process.stdout.write(line + '\n')
    })
    child.on('error', () => space.done())
    child.on('close', () => space.done())
    spaces[index] = space
  }
  const forget = ({ name }) =>
    new Promise(resolve => execFile('ip', [...(name === '-' ? [] : ['-n', name]), 'neigh', 'flush', 'all'], () => resolve()))
  const run = async (chunks, wait, forgets) => {
    await Promise.all(spaces.map(({ isReady }) => isReady))
    for (const chunk of chunks) {
      const asked = new Map()
      for (const line of chunk) {
        const space = spaces[line.split(' ')[2]]
        asked.set(space, (asked.get(space) ?? '') + line + '\n')
      }
      const done = [...asked].map(([space, text]) => new Promise(resolve => {
        space.done = resolve
        space.child.stdin.write(text + 'go ' + wait + '\n')
      }))
      await Promise.all(done)
      if (forgets) await Promise.all(spaces.map(forget))
    }
    process.stdout.write('done\n')
  }
  let chunks = [[]]
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...words] = line.split(' ')
    if (what === 'space') open(...words)
    else if (what === 'listen') spaces[words[0]].child.stdin.write(line + '\n')
    else if (what === 'probe') chunks.at(-1).push(line)
    else if (what === 'chunk') chunks.push([])
    else if (what === 'go') {
      await run(chunks, words[0], words[1] === '1')
      chunks = [[]]
    }
  }
  process.exit()
}

if (process.argv[2] === undefined) outside()
else inside(process.argv[2])
`
