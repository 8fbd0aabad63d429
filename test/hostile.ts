import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import type { Data, Value } from './topologies.ts'

// Texts that try to be more than the value that they are, and every place of the format where one can stand.

const PAYLOADS = [
  '',
  ' ',
  '"',
  "'",
  "''",
  "''${x}",
  '${x}',
  '$${x}',
  '"; x = 1; y = "',
  '"; }; x = import /etc/passwd; z = { y = "',
  '${builtins.readFile "/etc/passwd"}',
  '\\',
  'x\\',
  '\\"',
  '\n',
  'x\ny',
  'x\r\ny',
  'x\ry',
  '\t',
  'x\u0085y',
  'x\u2028y',
  'x\u2029y',
  'x\u0000y',
  'x\u001b[31my',
  '\ufeff',
  '..',
  '.',
  '/',
  '/etc/passwd',
  '../../x',
  'x/../../y',
  '%i',
  '%n',
  '%%',
  '$(id)',
  '`id`',
  ';',
  'x; flush ruleset',
  '#',
  'x # y',
  ']',
  '[Section]',
  'x\n[Network]\nAddress=192.0.2.1/24',
  'x]\n[Match]\nName=*',
  'Name=*',
  '}',
  'x }\nadd rule ip t c accept',
  '*',
  '?',
  '!x',
  'x y',
  ' x',
  'x ',
  '-x',
  '--x',
  '-- x --',
  '*/',
  '/*',
  '\u202ex\u202c',
  '\u200f',
  'é',
  'e\u0301',
  '😀',
  '\ud800',
  'x\udc00y',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'null',
  'true',
  '1',
  '0x10',
  '1e3',
  '~',
  '@x',
  '&x',
  '10.0.0.1',
  '10.0.0.1/24',
  'fd00::1/64',
  '0.0.0.0/0',
  '::',
  '02:00:00:00:00:01',
  '02:00:00:00:00:01\n',
  '80',
  'auto',
  'any',
  'tcp',
  'localhost',
  'x'.repeat(16),
  'x'.repeat(64),
  'x'.repeat(255),
  'a"${b}\n'.repeat(1250),
  'y'.repeat(10_000)
] as const

/** Strings that try to be more than the value that they are. */
export const hostileStrings = (): fc.Arbitrary<string> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: fc.constantFrom<string>(...PAYLOADS) },
    {
      weight: 3,
      arbitrary: fc
        .array(
          fc.constantFrom<string>(...PAYLOADS.filter(payload => payload.length < 50), 'web', 'br0', '=', ','),
          {
            minLength: 2,
            maxLength: 5
          }
        )
        .map(parts => parts.join(''))
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) }
  )

/** Networks in which nothing is wrong, small and each for a matter of its own, so that a target that refuses one takes another. */
const BASES: Readonly<Record<string, Data>> = {
  bridge: {
    version: 1,
    name: 'base',
    site: 'office',
    host: {
      name: 'server',
      release: '25.11',
      kernel: '6.12',
      manager: 'networkd',
      interfaces: {
        enp1s0: {
          address: ['203.0.113.10/24', '2001:db8:0:1::10/64'],
          macAddress: '02:00:00:00:01:01',
          mtu: 1500
        }
      },
      defaultGateway: { address: '203.0.113.1', interface: 'enp1s0' },
      defaultGateway6: { address: 'fe80::1', interface: 'enp1s0' },
      nameservers: ['9.9.9.9'],
      firewall: {
        backend: 'nftables',
        allowedTCPPorts: [22],
        interfaces: { brhome: { allowedTCPPorts: [5201] } }
      },
      listens: [{ name: 'sshd', port: 22, protocol: 'tcp', address: 'any' }]
    },
    nat: {
      enable: true,
      enableIPv6: true,
      internalInterfaces: ['brhome'],
      externalInterface: 'enp1s0',
      externalIP: '203.0.113.10',
      externalIPv6: '2001:db8:0:1::10',
      forwardPorts: [
        {
          sourcePort: '8000:8003',
          destination: '10.107.0.2:8000-8003',
          proto: 'tcp',
          loopbackIPs: ['203.0.113.10']
        },
        { sourcePort: 8080, destination: '[fd31:4159:2653:7::2]:80', proto: 'tcp' }
      ]
    },
    bridges: {
      brhome: {
        address: ['10.107.0.1/24', 'fd31:4159:2653:7::1/64'],
        interfaces: ['enp7s0'],
        macAddress: '02:00:00:00:02:01'
      }
    },
    containers: {
      cntweb: {
        privateNetwork: true,
        hostBridge: 'brhome',
        localAddress: '10.107.0.2/24',
        localAddress6: 'fd31:4159:2653:7::2/64',
        defaultGateway: { address: '10.107.0.1', interface: 'eth0' },
        defaultGateway6: 'fd31:4159:2653:7::1',
        forwardPorts: [{ protocol: 'tcp', hostPort: 8081, containerPort: 80 }],
        useHostResolvConf: false,
        resolved: true,
        nameservers: ['9.9.9.9', '2620:fe::fe'],
        firewall: {
          allowedTCPPorts: [80],
          allowedTCPPortRanges: [{ from: 8000, to: 8003 }],
          interfaces: { eth0: { allowedUDPPorts: [53] } }
        },
        listens: [{ name: 'httpd', port: 80, protocol: 'tcp', address: 'any' }]
      }
    },
    reserved: [{ prefix: '172.17.0.0/16', for: 'docker' }]
  },
  pair: {
    version: 1,
    host: {
      manager: 'scripted',
      interfaces: { ens3: { dhcp: true } },
      firewall: { allowedUDPPortRanges: [{ from: 4000, to: 4001 }] },
      sysctl: { 'vm.swappiness': '10' }
    },
    nat: {
      enable: true,
      enableIPv6: true,
      internalInterfaces: ['ve-cntpair'],
      internalIPs: ['10.111.0.2/32'],
      internalIPv6s: ['fd31:4159:2653:a::2/128'],
      externalInterface: 'ens3'
    },
    bridges: { brtext: { address: '10.109.0.1/24' } },
    containers: {
      cntpair: {
        privateNetwork: true,
        hostAddress: '10.111.0.1',
        localAddress: '10.111.0.2',
        hostAddress6: 'fd31:4159:2653:a::1',
        localAddress6: 'fd31:4159:2653:a::2',
        localMacAddress: '02:00:00:00:03:01',
        defaultGateway: '10.111.0.1',
        defaultGateway6: { address: 'fd31:4159:2653:a::1', interface: 'eth0' },
        extraVeths: {
          vxtext: { hostBridge: 'brtext', localAddress: '10.109.0.2/24' },
          'vx-pair': {
            hostAddress: '10.110.0.1',
            localAddress: '10.110.0.2',
            hostAddress6: 'fd31:4159:2653:8::1',
            localAddress6: 'fd31:4159:2653:8::2'
          }
        },
        firewall: { trustedInterfaces: ['vxtext'] }
      },
      cntplain: { listens: [{ name: 'shared', port: 3003 }] }
    }
  },
  cards: {
    version: 1,
    host: {
      manager: 'networkd',
      interfaces: {
        enp1s0: { dhcp: true, routes: [{ address: '198.51.100.0/24', via: '192.168.1.2' }] },
        enp2s0: { address: '192.168.1.5/24' }
      },
      bonds: { bond7: { interfaces: ['enp3s0', 'enp4s0'], mode: 'active-backup' } },
      vlans: { vlan20: { id: 20, interface: 'enp2s0' } },
      firewall: {
        trustedInterfaces: ['brlab'],
        extraCommands: 'iptables -A nixos-fw -p tcp --dport 2222 -j nixos-fw-accept'
      }
    },
    bridges: { brlab: { address: ['10.108.0.1/24'], interfaces: ['vlan20'] } },
    containers: {
      cntcards: {
        privateNetwork: true,
        macvlans: ['enp2s0'],
        interfaces: ['enp9s0'],
        inside: {
          interfaces: {
            'mv-enp2s0': {
              address: ['192.168.1.7/24'],
              macAddress: '02:00:00:00:05:01',
              routes: [{ address: '192.168.9.0/24', via: '192.168.1.1', interface: 'mv-enp2s0' }]
            },
            enp9s0: { address: '172.31.9.2/24' }
          }
        },
        resolved: true,
        useHostResolvConf: false,
        internet: false
      },
      cntroute: {
        privateNetwork: true,
        hostBridge: 'brlab',
        hostAddress: '10.108.0.1',
        localAddress: '10.108.0.2/24',
        routes: [{ address: '10.250.0.0/16', via: '10.108.0.1', interface: 'eth0' }],
        resolved: true,
        useHostResolvConf: false
      }
    }
  },
  lan: {
    version: 1,
    host: {
      manager: 'networkd',
      release: '26.05',
      interfaces: {
        brout: { routes: [{ address: '198.51.100.0/24', via: '192.168.2.2' }] },
        enp5s0: { mtu: 9000, macAddress: '02:00:00:00:07:01' }
      },
      bonds: { bond8: { interfaces: ['enp5s0', 'enp6s0'], mode: 'active-backup' } },
      defaultGateway: { address: '192.168.2.1', interface: 'brout', metric: 10, source: '192.168.2.3' },
      nameservers: ['192.168.2.1']
    },
    bridges: {
      brout: {
        address: ['192.168.2.3/24'],
        interfaces: ['bond8']
      }
    },
    containers: {
      cntlan: {
        privateNetwork: true,
        hostBridge: 'brout',
        localAddress: '192.168.2.5/24',
        defaultGateway: { address: '192.168.2.1', interface: 'eth0', source: '192.168.2.5' },
        resolved: true,
        useHostResolvConf: false
      }
    }
  },
  tagged: {
    version: 1,
    host: { manager: 'networkd', interfaces: { enp1s0: { dhcp: true } } },
    bridges: {
      brtag: {
        interfaces: ['enp6s0'],
        bridgeVLANs: { enp6s0: [{ VLAN: '10-20', PVID: '10', EgressUntagged: '10' }] }
      }
    }
  },
  filter: {
    version: 1,
    host: {
      interfaces: { ens3: { dhcp: true } },
      firewall: {
        backend: 'nftables',
        filterForward: true,
        extraInputRules: 'tcp dport 2222 accept',
        extraForwardRules: 'iifname "brfilter" accept'
      }
    },
    bridges: { brfilter: { address: ['10.112.0.1/24'] } },
    containers: {
      cntfilter: {
        privateNetwork: true,
        hostBridge: 'brfilter',
        localAddress: '10.112.0.2/24',
        internet: false,
        additionalCapabilities: ['CAP_NET_ADMIN'],
        privateUsers: 'pick',
        firewall: {
          backend: 'nftables',
          extraInputRules: 'tcp dport 3333 accept',
          extraForwardRules: 'iifname "eth0" accept'
        }
      },
      cntextra: {
        firewall: { extraCommands: 'iptables -A nixos-fw -p tcp --dport 3333 -j nixos-fw-accept' }
      }
    }
  },
  manager: {
    version: 1,
    host: {
      manager: 'networkmanager',
      interfaces: { enp1s0: { dhcp: true } },
      firewall: { interfaces: { brvm: { allowedUDPPorts: [67] } } },
      networkmanager: { unmanaged: ['interface-name:brvm'] },
      dhcpServers: [
        { interface: 'brvm', program: 'dnsmasq', subnet: '10.120.0.0/24', range: '10.120.0.100-10.120.0.200' }
      ],
      virtualAddresses: ['203.0.113.99'],
      resolvConf: ['9.9.9.9']
    },
    nat: { enable: true, internalInterfaces: ['brvm'], externalInterface: 'enp1s0' },
    bridges: { brvm: { address: ['10.120.0.1/24'], virtualAddresses: ['10.120.0.99'] } },
    containers: {
      cntpath: {
        path: '/nix/var/nix/profiles/cntpath',
        privateNetwork: true,
        hostAddress: '10.121.0.1',
        localAddress: '10.121.0.2',
        virtualAddresses: ['10.121.0.9'],
        internet: false
      },
      cntflake: { flake: 'github:example/flake', extraFlags: ['--capability=CAP_NET_RAW'] },
      cntspace: { networkNamespace: '/run/netns/cntspace' }
    },
    vms: {
      vmone: {
        kind: 'microvm',
        interfaces: {
          'vm-one': {
            type: 'tap',
            hostBridge: 'brvm',
            macAddress: '02:00:00:00:04:01',
            address: ['10.120.0.3/24']
          }
        },
        defaultGateway: '10.120.0.1',
        listens: [{ name: 'k8s', port: 6443, protocol: 'tcp', address: 'any' }]
      }
    }
  },
  router: {
    version: 1,
    host: { interfaces: { enp1s0: { dhcp: true } } },
    nat: { enable: true, internalInterfaces: ['brwan'], externalInterface: 'enp1s0' },
    bridges: { brwan: { address: ['10.122.0.1/24'] } },
    containers: {
      cntrouter: {
        privateNetwork: true,
        hostBridge: 'brwan',
        localAddress: '10.122.0.2/24',
        defaultGateway: { address: '10.122.0.1', interface: 'eth0' },
        interfaces: ['enp8s0'],
        inside: {
          vlans: { vlanin: { id: 30, interface: 'enp8s0' } },
          bridges: { brin: { interfaces: ['vlanin'], address: ['10.123.0.1/24'] } },
          nat: {
            enable: true,
            internalInterfaces: ['brin'],
            externalInterface: 'eth0',
            forwardPorts: [{ sourcePort: 8080, destination: '10.123.0.2:80', proto: 'tcp' }]
          }
        },
        vpn: { name: 'tailscale', interface: 'tailscale0' }
      }
    },
    pools: { lan: { prefix: '10.124.0.0/16', ports: '20000-29999', exclude: ['10.124.0.1'] } },
    expect: [
      { from: 'cntrouter', to: 'internet', port: 443, protocol: 'tcp', outcome: 'reaches', why: 'updates' }
    ]
  },
  units: {
    version: 1,
    host: {
      manager: 'networkd',
      release: '25.11',
      networkd: {
        enable: true,
        netdevs: {
          '20-brunit': { netdevConfig: { Name: 'brunit', Kind: 'bridge', MACAddress: '02:00:00:00:06:01' } }
        },
        networks: {
          '05-pairs': { matchConfig: { Name: 've-*' }, linkConfig: { Unmanaged: 'yes' } },
          '30-brunit': {
            matchConfig: { Name: 'brunit' },
            address: ['10.125.0.1/24'],
            networkConfig: { ConfigureWithoutCarrier: 'yes', DNS: ['9.9.9.9'] },
            routes: [{ Destination: '10.126.0.0/16', Gateway: '10.125.0.9' }]
          },
          '35-uplink': { name: 'enp1s0', DHCP: 'yes' }
        },
        'wait-online': { ignoredInterfaces: ['brunit'], extraArgs: ['--any'] }
      }
    }
  }
}

/** A place of the format where a text or a name stands. */
export interface HostilePlace {
  /** As in `containers.*.extraVeths.*`, with `{}` behind where it is the key; and the network that it is tried in. */
  readonly place: string
  readonly base: string
  /** Where it is in that network; `key` means the last step itself. */
  readonly at: readonly (string | number)[]
  readonly key: boolean
  /** The network with the text in that place; a name is changed wherever the network has it. */
  readonly put: (text: string) => Data
}

interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly Value[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly examples?: readonly Value[]
}

const SCHEMA: Schema = JSON.parse(
  readFileSync(new URL('../schemas/topology.schema.json', import.meta.url), 'utf8')
)

const resolved = (node: Schema): Schema => {
  const name = node.$ref?.split('/').at(-1)
  return name === undefined ? node : { ...resolved(SCHEMA.$defs?.[name] ?? {}), ...node, $ref: '' }
}

/** A step of the format: a key that it names, any other key, or an item of a list. */
type Step = { readonly key: string } | { readonly besides: readonly string[] } | 'item'

interface Place {
  readonly steps: readonly Step[]
  readonly key: boolean
}

/** Every place where the schema lets a text stand that it does not list itself. */
const placesOf = function* (written: Schema, steps: readonly Step[]): Generator<Place> {
  const node = written.$ref === undefined || written.$ref === '' ? written : resolved(written)
  const types = [node.type ?? []].flat()
  if (types.includes('string') && node.enum === undefined) yield { steps, key: false }
  const known = Object.keys(node.properties ?? {})
  for (const key of known) yield* placesOf(node.properties?.[key] ?? {}, [...steps, { key }])
  if (typeof node.additionalProperties === 'object') {
    const name = [...steps, { besides: known }]
    yield { steps: name, key: true }
    yield* placesOf(node.additionalProperties, name)
  }
  if (node.items !== undefined) yield* placesOf(node.items, [...steps, 'item'])
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

const isMapping = (value: Value | undefined): value is Data =>
  typeof value === 'object' && value !== null && !isList(value)

type At = readonly (string | number)[]

/** The first place in the data that the steps lead to. */
const find = (
  value: Value | undefined,
  steps: readonly Step[],
  key: boolean,
  at: At = []
): At | undefined => {
  const [step, ...rest] = steps
  if (step === undefined) return key || typeof value === 'string' ? at : undefined
  if (step === 'item') {
    if (value === undefined || typeof value !== 'object' || value === null || !isList(value)) return undefined
    for (const [i, item] of value.entries()) {
      const found = find(item, rest, key, [...at, i])
      if (found !== undefined) return found
    }
    return undefined
  }
  if (!isMapping(value)) return undefined
  const keys = 'key' in step ? [step.key] : Object.keys(value).filter(name => !step.besides.includes(name))
  for (const name of keys) {
    const found = Object.hasOwn(value, name) ? find(value[name], rest, key, [...at, name]) : undefined
    if (found !== undefined) return found
  }
  return undefined
}

/** The data with a value of the schema at the end of the steps, and everything that is needed on the way there. */
const grown = (value: Value | undefined, written: Schema, steps: readonly Step[]): Value => {
  const node = resolved(written)
  const [step, ...rest] = steps
  if (step === undefined) return sample(node)
  if (step === 'item') return [grown(undefined, node.items ?? {}, rest)]
  const base = isMapping(value) ? value : sample({ ...node, type: 'object' })
  const own = isMapping(base) ? base : {}
  const name =
    'key' in step
      ? step.key
      : (Object.keys(own).find(key => !step.besides.includes(key)) ?? `grown${steps.length}`)
  const child =
    node.properties?.[name] ??
    (typeof node.additionalProperties === 'object' ? node.additionalProperties : {})
  return { ...own, [name]: grown(own[name], child, rest) }
}

/** A value that the schema allows. */
const sample = (written: Schema): Value => {
  const node = resolved(written)
  const [first] = node.examples ?? node.enum ?? []
  const types = new Set([node.type ?? []].flat())
  if (types.has('string')) return typeof first === 'string' ? first : 'text'
  if (first !== undefined) return first
  if (types.has('integer')) return 1
  if (types.has('boolean')) return true
  if (types.has('array')) return []
  return Object.fromEntries((node.required ?? []).map(key => [key, sample(node.properties?.[key] ?? {})]))
}

const put = (value: Value, [step, ...rest]: At, text: string): Value => {
  if (step === undefined) return text
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map((item, i) => (i === step ? put(item, rest, text) : item))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, key === step ? put(item, rest, text) : item])
  )
}

/** The data with another name wherever this one stands, also within the names that NixOS makes of it. */
const renamed = (value: Value, name: string, text: string): Value => {
  const swap = (old: string): string => {
    if (old === name) return text
    const [, made] = /^(?:ve|vb|mv)-(.*)$/.exec(old) ?? []
    return made === name ? `${old.slice(0, 3)}${text}` : old
  }
  if (typeof value === 'string') return swap(value)
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(item => renamed(item, name, text))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [swap(key), renamed(item, name, text)])
  )
}

const nameOf = ({ steps, key }: Place): string =>
  `${steps
    .map(step => (step === 'item' ? '[]' : 'key' in step ? `.${step.key}` : '.*'))
    .join('')
    .slice(1)}${key ? ' {}' : ''}`

/** Every place of the format, in every base that has it; one that none has is added to the first. */
export const hostilePlaces: readonly HostilePlace[] = [...placesOf(SCHEMA, [])].flatMap(place => {
  const { steps, key } = place
  const inBase = (base: string, data: Value): HostilePlace[] => {
    const at = find(data, steps, key)
    if (at === undefined) return []
    const change = (text: string): Value =>
      key ? renamed(data, String(at.at(-1)), text) : put(data, at, text)
    return [{ place: nameOf(place), base, at, key, put: text => mapping(change(text)) }]
  }
  const found = Object.entries(BASES).flatMap(([base, data]) => inBase(base, data))
  return found.length > 0 ? found : inBase('grown', grown(BASES['bridge'], SCHEMA, steps))
})

const mapping = (value: Value): Data => (isMapping(value) ? value : {})

/** The networks that hostile texts are put into. */
export const hostileBases: Readonly<Record<string, Data>> = BASES
