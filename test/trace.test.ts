import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze, type LocatedFinding } from '../src/index.ts'
import { freeAddressFinder } from '../src/plan/addresses.ts'
import { ALONE } from '../src/plan/site.ts'
import { arrives, asking, attempt, type Attempt } from '../src/reach/expect.ts'
import { closeOf, mendOf, type Write } from '../src/reach/mend.ts'
import { attemptLines, endText, wayText } from '../src/reach/told.ts'
import { type World, worldOf } from '../src/reach/world.ts'
import { type Paint, pretty } from '../src/report/pretty.ts'
import { failedExpectation } from '../src/rules/failed-expectation.ts'

// What a trace says of every way to end, and that following its advice makes the flow arrive.

const PLAIN: Paint = { error: String, warning: String, hint: String, bold: String, dim: String }

type Data = { [key: string]: unknown }

const worldFor = async (data: Data): Promise<World> => {
  const { plan } = await analyze({ file: 'topology.yaml', text: JSON.stringify({ version: 1, ...data }) })
  if (plan === undefined) throw new Error('no plan')
  return worldOf(plan)
}

type Question = readonly [from: string, to: string, port?: number, protocol?: string]

/** The attempt that arrives, or the first. */
const ask = (world: World, [from, to, port, protocol = 'tcp']: Question): Attempt => {
  const flows = asking(world)({ from, to, port, protocol: port === undefined ? 'icmp' : protocol })
  if ('kind' in flows) throw new Error(flows.text)
  const attempts = flows.map(flow => attempt(world, flow))
  const found = attempts.find(({ trace }) => arrives(trace)) ?? attempts[0]
  if (found === undefined) throw new Error('nothing was asked')
  return found
}

type Tree = Data | unknown[]

/** The data with what is written, as a person would do it. */
const written = (data: Data, writes: readonly Write[]): Data => {
  const changed = structuredClone(data)
  for (const write of writes) {
    let owner: Tree = changed
    for (const step of write.at.slice(0, -1)) owner = ((owner as Data)[step] ??= {}) as Tree
    const key = String(write.at.at(-1))
    const known = owner as Data
    if (write.kind === 'set') known[key] = write.value
    else if (write.kind === 'append') known[key] = [...[known[key] ?? []].flat(), write.value]
    else if (Array.isArray(owner)) owner.splice(Number(key), 1)
    else delete known[key]
  }
  return changed
}

/** A container on br0 of 10.5.0.1/24. */
const on = (host: number, more: object = {}): object => ({
  privateNetwork: true,
  hostBridge: 'br0',
  localAddress: `10.5.0.${host}/24`,
  defaultGateway: { address: '10.5.0.1', interface: 'eth0' },
  ...more
})

/** One on a pair with the host's 10.6.0.1. */
const pair = (host: number, more: object = {}): object => ({
  privateNetwork: true,
  hostAddress: '10.6.0.1',
  localAddress: `10.6.0.${host}`,
  ...more
})

const base = {
  host: { manager: 'networkmanager', interfaces: { eth0: { dhcp: true } } },
  bridges: { br0: { address: ['10.5.0.1/24'] } }
}

const nat = { enable: true, internalInterfaces: ['br0', 've-+'], externalInterface: 'eth0' }

const http = { firewall: { allowedTCPPorts: [80] }, listens: [{ port: 80 }] }

/** What is asked of a network, and what is said of it. */
interface Case {
  readonly name: string
  readonly data: Data
  readonly asked: Question
  readonly disposition: string
  readonly end: string
  readonly mend: string | undefined
}

const cases: readonly Case[] = [
  {
    name: 'a closed port',
    data: { ...base, containers: { web: on(2), db: on(3) } },
    asked: ['web', 'db', 80],
    disposition: 'filtered',
    end: 'container "db" drops it, as its firewall has tcp 80 closed on eth0; the file says nothing of its firewall, and NixOS turns it on',
    mend: 'open it: firewall.allowedTCPPorts: [80] in container "db"'
  },
  {
    name: 'a closed port beside open ones, over IPv6',
    data: {
      ...base,
      bridges: { br0: { address: ['fd00:5::1/64'] } },
      containers: {
        web: { privateNetwork: true, hostBridge: 'br0', localAddress6: 'fd00:5::2/64' },
        db: {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress6: 'fd00:5::3/64',
          firewall: { allowedUDPPorts: [53] }
        }
      }
    },
    asked: ['web', 'db', 5353, 'udp'],
    disposition: 'filtered',
    end: 'container "db" drops it, as its firewall has udp 5353 closed on eth0',
    mend: 'open it: add 5353 to firewall.allowedUDPPorts of container "db"'
  },
  {
    name: 'pings that are not answered',
    data: { ...base, containers: { web: on(2), db: on(3, { firewall: { allowPing: false } }) } },
    asked: ['web', 'db'],
    disposition: 'filtered',
    end: 'container "db" has a firewall that does not answer pings (allowPing)',
    mend: 'let pings in: firewall.allowPing: true in container "db"'
  },
  {
    name: 'a service of the host',
    data: { ...base, containers: { web: on(2) } },
    asked: ['web', 'host', 5432],
    disposition: 'filtered',
    end: 'the host drops it, as its firewall has tcp 5432 closed on br0; the file says nothing of its firewall, and NixOS turns it on',
    mend: 'open it: host.firewall.interfaces.br0.allowedTCPPorts: [5432]'
  },
  {
    name: 'a firewall that refuses',
    data: { ...base, containers: { web: on(2), db: on(3, { firewall: { rejectPackets: true } }) } },
    asked: ['web', 'db', 80],
    disposition: 'rejected',
    end: 'container "db" refuses it, as its firewall has tcp 80 closed on eth0',
    mend: 'open it: firewall.allowedTCPPorts: [80] in container "db"'
  },
  {
    name: 'no default gateway',
    data: { ...base, nat, containers: { web: on(2, { defaultGateway: undefined }) } },
    asked: ['web', 'internet', 443],
    disposition: 'no-route',
    end: 'container "web" has no route to 203.0.113.10',
    mend: 'give it a default route: defaultGateway: { address: 10.5.0.1, interface: eth0 } in container "web"'
  },
  {
    name: 'no prefix length on a bridge',
    data: { ...base, containers: { web: on(2, { localAddress: '10.5.0.2' }), db: on(3, http) } },
    asked: ['web', 'db', 80],
    disposition: 'not-forwarded',
    end: 'the host does not forward IPv4, and drops it',
    mend: 'write the prefix length of its network: localAddress: 10.5.0.2/24 in container "web"'
  },
  {
    name: 'an address outside of its bridge',
    data: { ...base, containers: { web: on(2, { localAddress: '10.7.0.2/24' }), db: on(3, http) } },
    asked: ['web', 'db', 80],
    disposition: 'forged-source',
    end: 'the host drops it as forged (checkReversePath): its own way to 10.7.0.2 is not by br0',
    mend: 'give it an address of its network: localAddress: 10.5.0.2/24 in container "web"'
  },
  {
    name: 'an end of a pair that is missing',
    data: { ...base, nat, containers: { web: { privateNetwork: true, localAddress: '10.6.0.2' } } },
    asked: ['web', 'internet', 443],
    disposition: 'no-route',
    end: 'container "web" has no route to 203.0.113.10',
    mend: 'give the pair its other end: hostAddress: 10.6.0.3 in container "web"'
  },
  {
    name: 'a host without an address on its bridge',
    data: { ...base, bridges: { br0: { address: [] } }, containers: { db: on(3, http) } },
    asked: ['host', 'db', 80],
    disposition: 'no-route',
    end: 'the internet has no route to 10.5.0.3',
    mend: 'give the host an address there: bridges.br0.address: [10.5.0.1/24]'
  },
  {
    name: 'a private address, from the internet',
    data: { ...base, containers: { db: on(3, http) } },
    asked: ['internet', 'db', 80],
    disposition: 'no-route',
    end: 'the internet has no route to 10.5.0.3',
    mend: 'forward a port of the host to it: nat.forwardPorts: [{ sourcePort: 80, destination: "10.5.0.3:80" }], with enable: true and externalInterface: eth0'
  },
  {
    name: 'a gateway that nobody has',
    data: {
      ...base,
      nat,
      containers: { web: on(2, { defaultGateway: { address: '10.5.0.254', interface: 'eth0' } }) }
    },
    asked: ['web', 'internet', 443],
    disposition: 'no-neighbour',
    end: 'container "web" looks for 10.5.0.254 on eth0, and nobody there has it',
    mend: 'name a router that is there: defaultGateway.address: 10.5.0.1 in container "web"'
  },
  {
    name: 'an address of nobody',
    data: { ...base, containers: { web: on(2) } },
    asked: ['web', '10.5.0.9'],
    disposition: 'no-neighbour',
    end: 'container "web" looks for 10.5.0.9 on eth0, and nobody there has it',
    mend: 'give 10.5.0.9 to somebody there, or ask for it by a name'
  },
  {
    name: 'one that is switched off',
    data: { ...base, containers: { web: on(2), db: on(3, { enabled: false }) } },
    asked: ['web', '10.5.0.3'],
    disposition: 'no-neighbour',
    end: 'container "web" looks for 10.5.0.3 on eth0, and nobody there has it',
    mend: 'switch it on: enabled: true in container "db"'
  },
  {
    name: 'two bridges',
    data: {
      ...base,
      bridges: { br0: { address: ['10.5.0.1/24'] }, br1: {} },
      containers: { web: on(2), db: on(3, { hostBridge: 'br1', ...http }) }
    },
    asked: ['web', 'db', 80],
    disposition: 'no-neighbour',
    end: 'container "web" looks for 10.5.0.3 on eth0, and container "db", which has it, is on another link',
    mend: 'put both on one bridge: hostBridge: br0 in container "db"'
  },
  {
    name: 'a macvlan and its host',
    data: {
      host: { interfaces: { eth0: { address: ['10.5.0.1/24'] } } },
      containers: {
        dns: {
          privateNetwork: true,
          macvlans: ['eth0'],
          inside: { interfaces: { 'mv-eth0': { address: ['10.5.0.9/24'] } } }
        }
      }
    },
    asked: ['host', 'dns'],
    disposition: 'no-neighbour',
    end: 'the host looks for 10.5.0.9 on eth0, and container "dns" does not hear it: a macvlan and the host on whose interface it is never talk by it',
    mend: 'give container "dns" a veth pair to the host beside its macvlan: hostAddress: auto and localAddress: auto'
  },
  {
    name: 'a macvlan of the host that hears no other',
    data: {
      host: {
        interfaces: { 'mv-host': { address: ['10.5.0.1/24', 'fd12::1/64'] } },
        macvlans: { 'mv-host': { interface: 'eth0' } }
      },
      containers: {
        dns: {
          privateNetwork: true,
          macvlans: ['eth0'],
          inside: { interfaces: { 'mv-eth0': { address: ['10.5.0.9/24', 'fd12::9/64'] } } }
        }
      }
    },
    asked: ['host', 'fd12::9'],
    disposition: 'no-neighbour',
    end: 'the host looks for fd12::9 on mv-host, and container "dns" does not hear it: of the macvlans on one interface only those in bridge mode hear each other, and mv-host is in vepa mode',
    mend: 'let it hear the other macvlans: host.macvlans.mv-host.mode: bridge'
  },
  {
    name: 'a macvlan of the host that nothing is sent by',
    data: {
      host: {
        interfaces: {
          eth0: { address: ['10.5.0.1/24', 'fd12::1/64'] },
          'mv-host': { address: ['10.5.0.2/32', 'fd12::2/128'] }
        },
        macvlans: { 'mv-host': { interface: 'eth0', mode: 'bridge' } }
      },
      containers: {
        dns: {
          privateNetwork: true,
          macvlans: ['eth0'],
          inside: { interfaces: { 'mv-eth0': { address: ['10.5.0.9/24', 'fd12::9/64'] } } }
        }
      }
    },
    asked: ['host', 'fd12::9'],
    disposition: 'no-neighbour',
    end: 'the host looks for fd12::9 on eth0, and container "dns" does not hear it: a macvlan and the host on whose interface it is never talk by it',
    mend: 'send by mv-host: host.interfaces.mv-host.routes: [{ address: "fd12::9/128" }]'
  },
  {
    name: 'a host that is no router',
    data: { ...base, containers: { web: pair(2), db: on(3, http) } },
    asked: ['web', 'db', 80],
    disposition: 'not-forwarded',
    end: 'the host does not forward IPv4, and drops it',
    mend: 'let the host forward: host.sysctl."net.ipv4.conf.all.forwarding": 1'
  },
  {
    name: 'a host that is no router, to the internet',
    data: { ...base, containers: { web: on(2) } },
    asked: ['web', 'internet', 443],
    disposition: 'not-forwarded',
    end: 'the host does not forward IPv4, and drops it',
    mend: 'let NAT translate it: write nat.enable: true with internalInterfaces: [br0] and externalInterface: eth0'
  },
  {
    name: 'a bridge that NAT leaves out',
    data: { ...base, nat: { ...nat, internalInterfaces: ['ve-+'] }, containers: { web: on(2) } },
    asked: ['web', 'internet', 443],
    disposition: 'no-way-back',
    end: 'the internet has no route back to 10.5.0.2',
    mend: 'let NAT translate it: add br0 to nat.internalInterfaces'
  },
  {
    name: 'IPv6 that NAT leaves out',
    data: {
      ...base,
      host: { ...base.host, sysctl: { 'net.ipv6.conf.all.forwarding': 1 } },
      nat,
      bridges: { br0: { address: ['fd00:5::1/64'] } },
      containers: {
        web: {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress6: 'fd00:5::2/64',
          defaultGateway6: { address: 'fd00:5::1', interface: 'eth0' }
        }
      }
    },
    asked: ['web', '2001:db8:ffff::10', 443],
    disposition: 'no-way-back',
    end: 'the internet has no route back to fd00:5::2',
    mend: 'let NAT translate it: write nat.enableIPv6: true'
  },
  {
    name: 'filterForward between containers',
    data: {
      ...base,
      host: { ...base.host, firewall: { backend: 'nftables', filterForward: true } },
      nat: { ...nat, internalInterfaces: ['br0'] },
      containers: { web: pair(2), db: on(3, http) }
    },
    asked: ['web', 'db', 80],
    disposition: 'filtered',
    end: 'the host drops it between ve-web and br0, as filterForward accepts no such packet',
    mend: 'accept it: host.firewall.extraForwardRules: \'iifname "ve-web" oifname "br0" accept\''
  },
  {
    name: 'filterForward on the way out',
    data: {
      ...base,
      host: { ...base.host, firewall: { backend: 'nftables', filterForward: true } },
      nat: { ...nat, internalInterfaces: ['br0'] },
      containers: { web: pair(2) }
    },
    asked: ['web', 'internet', 443],
    disposition: 'filtered',
    end: 'the host drops it between ve-web and eth0, as filterForward accepts no such packet',
    mend: 'let NAT translate it: add ve-web to nat.internalInterfaces'
  },
  {
    name: 'an answer that would leave by another interface',
    data: {
      ...base,
      nat,
      bridges: { br0: { address: ['10.5.0.1/24'] }, br1: { address: ['10.8.0.1/24'] } },
      containers: {
        web: on(2, { defaultGateway: undefined }),
        db: on(3, {
          ...http,
          extraVeths: { 'db-lan': { hostBridge: 'br1', localAddress: '10.8.0.3/24' } },
          routes: [{ address: '10.9.0.0/24', via: '10.8.0.1', interface: 'db-lan' }]
        }),
        far: { privateNetwork: true, hostAddress: '10.9.0.1', localAddress: '10.9.0.2' }
      }
    },
    asked: ['far', '10.5.0.3', 80],
    disposition: 'forged-source',
    end: 'container "db" drops it as forged (checkReversePath): its own way to 10.9.0.2 is not by eth0',
    mend: 'let answers leave by another way: firewall.checkReversePath: loose in container "db"'
  },
  {
    name: 'no route for the answer',
    data: {
      ...base,
      nat,
      containers: { web: pair(2), db: on(3, { defaultGateway: undefined, ...http }) }
    },
    asked: ['web', 'db', 80],
    disposition: 'forged-source',
    end: 'container "db" drops it as forged (checkReversePath): it has no route back to 10.6.0.2',
    mend: 'give it a default route: defaultGateway: { address: 10.5.0.1, interface: eth0 } in container "db"'
  },
  {
    name: 'a forward, from inside',
    data: {
      ...base,
      host: { ...base.host, interfaces: { eth0: { address: ['198.51.100.7/24'] } } },
      nat: { ...nat, forwardPorts: [{ sourcePort: 8080, destination: '10.5.0.3:80' }] },
      containers: { web: on(2), db: on(3, http) }
    },
    asked: ['web', '198.51.100.7', 8080],
    disposition: 'filtered',
    end: 'the host drops it, as its firewall has tcp 8080 closed on br0; the file says nothing of its firewall, and NixOS turns it on',
    mend: 'let the forward be for those inside too: nat.forwardPorts[0].loopbackIPs: [198.51.100.7]'
  },
  {
    name: 'an answer that goes round the host',
    data: {
      ...base,
      host: { ...base.host, interfaces: { eth0: { address: ['198.51.100.7/24'] } } },
      containers: {
        web: on(2),
        db: on(3, { ...http, forwardPorts: [{ hostPort: 8081, containerPort: 80 }] })
      }
    },
    asked: ['web', '198.51.100.7', 8081],
    disposition: 'not-forwarded',
    end: 'the host does not forward IPv4, and drops it',
    mend: 'let the host forward: host.sysctl."net.ipv4.conf.all.forwarding": 1'
  },
  {
    name: 'the same by a forward of NAT that knows no inside',
    data: {
      ...base,
      host: { ...base.host, interfaces: { eth0: { address: ['198.51.100.7/24'] } } },
      nat: {
        enable: true,
        internalInterfaces: ['ve-+'],
        forwardPorts: [{ sourcePort: 8080, destination: '10.5.0.3:80' }]
      },
      containers: { web: on(2), db: on(3, http) }
    },
    asked: ['web', '198.51.100.7', 8080],
    disposition: 'answered-by-another-way',
    end: 'container "web" drops the answer: it comes from 10.5.0.3, and 198.51.100.7 was asked',
    mend: 'let the host translate it both ways: nat.forwardPorts[0].loopbackIPs: [198.51.100.7] and add br0 to nat.internalInterfaces; or ask for 10.5.0.3 itself'
  },
  {
    name: 'the address of everybody',
    data: { ...base, containers: { web: on(2) } },
    asked: ['web', '10.5.0.255'],
    disposition: 'broadcast',
    end: 'container "web" takes 10.5.0.255, the highest of a network of its own, for everybody there, and nobody answers',
    mend: undefined
  }
]

/** What is advised there changes nothing that the prediction sees: a rule that is code, or another question. */
const UNSEEN = new Set([
  'filterForward between containers',
  'an address of nobody',
  'an answer that goes round the host'
])

describe('every way to end', () => {
  test('stands in docs/dispositions.md, and here', () => {
    const page = readFileSync(new URL('../docs/dispositions.md', import.meta.url), 'utf8')
    const known = Array.from(page.matchAll(/^\| `([a-z-]+)` \|/gm), ([, name]) => name)
    // The command refuses whoever is not in the network before it follows anything.
    const shown = [...cases.map(({ disposition }) => disposition), 'answered', 'refused', 'no-address']
    expect(new Set(shown)).toEqual(new Set(known))
  })

  test.each(cases)('$name: why, and what to write', async ({ data, asked, disposition, end, mend }) => {
    const world = await worldFor(data)
    const told = ask(world, asked)
    expect([told.trace.disposition, endText(told), mendOf(world, told)?.text]).toEqual([
      disposition,
      end,
      mend
    ])
  })

  const followed = cases.filter(({ name, mend }) => mend !== undefined && !UNSEEN.has(name))
  test.each(followed)('$name: who writes that arrives', async ({ data, asked }) => {
    let changed = data
    let world = await worldFor(changed)
    // What is mended may bring to light what is behind it.
    for (let tries = 0; tries < 3 && !arrives(ask(world, asked).trace); tries += 1) {
      changed = written(changed, mendOf(world, ask(world, asked))?.writes ?? [])
      world = await worldFor(changed)
    }
    const told = ask(world, asked)
    expect([arrives(told.trace), endText(told)]).toEqual([true, expect.any(String)])
  })
})

describe('what is not to arrive and does', () => {
  const forward = { ...nat, forwardPorts: [{ sourcePort: 8080, destination: '10.5.0.3:80' }] }
  test.each([
    [
      'by a forward',
      { ...base, nat: forward, containers: { db: on(3, http) } },
      ['internet', 'db', 80],
      'the host forwards its port 8080 to 10.5.0.3:80 (nat.forwardPorts[0]); the firewall of container "db" lets it in (allowedTCPPorts)',
      'take out nat.forwardPorts[0]'
    ],
    [
      'by a port that is open',
      { ...base, containers: { web: on(2), db: on(3, http) } },
      ['web', 'db', 80],
      'the firewall of container "db" lets it in (allowedTCPPorts)',
      'close it: take 80 out of firewall.allowedTCPPorts of container "db"'
    ],
    [
      'by a firewall that is off',
      { ...base, nat, containers: { web: pair(2), db: on(3, { firewall: { enable: false } }) } },
      ['web', 'db', 80],
      'the host routes it on, and no firewall on the way drops it; the firewall of container "db" is off',
      'turn its firewall on: firewall.enable: true in container "db"'
    ],
    [
      'by a trusted interface',
      {
        ...base,
        host: { ...base.host, firewall: { trustedInterfaces: ['br0'] } },
        containers: { web: on(2) }
      },
      ['web', 'host', 22],
      'the firewall of the host lets it in (trustedInterfaces has br0)',
      'close it: take br0 out of host.firewall.trustedInterfaces'
    ],
    [
      'with a ping',
      { ...base, containers: { web: on(2), db: on(3) } },
      ['web', 'db'],
      'the firewall of container "db" lets it in (NixOS answers pings)',
      'answer no pings: firewall.allowPing: false in container "db"'
    ],
    [
      'by NAT',
      { ...base, nat, containers: { web: on(2) } },
      ['web', 'internet', 443],
      'the host routes it on, and no firewall on the way drops it',
      'take br0 out of nat.internalInterfaces, which cuts off all that is behind it'
    ]
  ] as const)('%s: which way, and what closes it', async (_, data, asked, way, close) => {
    const world = await worldFor(data)
    const told = ask(world, asked)
    expect(arrives(told.trace)).toBe(true)
    const remedy = closeOf(world, told)
    expect([wayText(told), remedy?.text]).toEqual([way, close])
    const after = ask(await worldFor(written(data, remedy?.writes ?? [])), asked)
    expect(arrives(after.trace)).toBe(false)
  })
})

test('a trace in lines', async () => {
  const world = await worldFor({ ...base, nat, containers: { web: on(2), db: on(3) } })
  expect(attemptLines(ask(world, ['web', 'internet', 443]), 'internet')).toEqual([
    'web -> internet 203.0.113.10 (IPv4), tcp 443: arrives',
    '  web       sends it to the router 10.5.0.1 on eth0, by its default route      containers.web.defaultGateway',
    '  host      changes its source from 10.5.0.2 to 198.51.100.2                   nat',
    '  host      sends it to the router 198.51.100.1 on eth0, by its default route  host',
    '  internet  has got it; what listens there is not for the file to say',
    '  web       gets the answer back by host'
  ])
})

describe('an expectation', () => {
  const found = async (expected: object, more: Data = {}): Promise<readonly LocatedFinding[]> => {
    const text = JSON.stringify({
      version: 1,
      ...base,
      nat,
      containers: {
        web: on(2),
        db: on(3, { enabled: false }),
        dyn: { privateNetwork: true, hostBridge: 'br0', dhcp: true }
      },
      ...more,
      expect: [expected]
    })
    const { report } = await analyze({ file: 'topology.yaml', text })
    return report.findings.filter(({ rule }) => rule === 'failed-expectation')
  }

  test.each([
    ['a name with a slip', { from: 'wbe', to: 'host', outcome: 'blocked' }, 'error', 'write from: web'],
    [
      'a name of nobody',
      { from: 'web', to: 'mail.example.org', outcome: 'reaches' },
      'error',
      'write the name of'
    ],
    ['one that is switched off', { from: 'web', to: 'db', outcome: 'reaches' }, 'hint', 'once both are on'],
    ['an address that DHCP gives', { from: 'web', to: 'dyn', outcome: 'reaches' }, 'hint', 'by hand'],
    [
      'IPv6 that nobody has',
      { from: 'web', to: 'host', family: 6, outcome: 'reaches' },
      'error',
      'localAddress6'
    ],
    [
      'the LAN without a forward',
      { from: 'lan', to: 'web', port: 80, outcome: 'reaches' },
      'warning',
      'forwardPorts'
    ]
  ])('about %s', async (_, expected, severity, help) => {
    const [finding, ...rest] = await found(expected)
    expect([finding?.severity, rest]).toEqual([severity, []])
    expect(finding?.help).toContain(help)
  })

  test.each([
    { from: 'web', to: 'db', outcome: 'blocked' },
    { from: 'web', to: 'dyn', outcome: 'blocked' },
    { from: 'web', to: 'internet', outcome: 'reaches' },
    { from: 'web', to: '9.9.9.9', port: 53, protocol: 'udp', outcome: 'reaches' },
    { from: '10.5.0.2', to: '10.5.0.1', outcome: 'reaches' },
    { from: 'lan', to: 'web', outcome: 'blocked' }
  ])('that is met is no finding: %j', async expected => {
    expect(await found(expected)).toEqual([])
  })

  test.each([
    ['the host', { host: { ...base.host, partial: true } }],
    ['a container', { containers: { web: on(2, { partial: true }) } }],
    [
      'rules by hand',
      { host: { ...base.host, firewall: { extraCommands: 'iptables -A nixos-fw -j ACCEPT' } } }
    ]
  ])('is only a hint where a part is not in the file: %s', async (_, more) => {
    const [finding] = await found({ from: 'web', to: 'host', port: 5432, outcome: 'reaches' }, more)
    expect(finding?.severity).toBe('hint')
  })

  test('a why with a control character does not act', async () => {
    const [finding] = await found({
      from: 'web',
      to: 'host',
      port: 1,
      outcome: 'reaches',
      why: '\u001b[31mred'
    })
    if (finding === undefined) throw new Error('no finding')
    expect(
      pretty([{ source: { file: 'topology.yaml', text: '' }, findings: [finding] }], PLAIN)
    ).not.toContain('\u001b')
  })

  test('a thousand about ten thousand containers are judged quickly', async () => {
    const containers = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [
        `c${i}`,
        {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress: `10.5.${40 + Math.floor(i / 250)}.${(i % 250) + 2}/16`,
          forwardPorts: i < 1000 ? [{ hostPort: 20_000 + i, containerPort: 80 }] : []
        }
      ])
    )
    const { plan } = await analyze({
      file: 'topology.json',
      text: JSON.stringify({
        version: 1,
        host: base.host,
        bridges: { br0: { address: ['10.5.0.1/16'] } },
        containers,
        expect: Array.from({ length: 1000 }, (_, i) => ({
          from: i % 2 === 0 ? 'internet' : `c${i}`,
          to: `c${9999 - i}`,
          port: 80,
          outcome: 'reaches'
        }))
      })
    })
    if (plan === undefined) throw new Error('no plan')
    const free = freeAddressFinder(plan)
    const start = performance.now()
    const problems = [...(await failedExpectation.check(plan, free, ALONE))]
    expect(problems).toHaveLength(1000)
    // Without maps it takes minutes.
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})
