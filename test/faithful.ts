// Networks in which the prediction and the packets have once differed, as small as they come, with what the packets say.

export type Cell = readonly [from: string, to: string, what: string, seen: string]

export interface Faithful {
  readonly cause: string
  readonly topology: object
  readonly cells: readonly Cell[]
}

const INTERNET = '203.0.113.10'
const INTERNET6 = '2001:db8:ffff::10'

const uplink = { interfaces: { eth0: { dhcp: true } } }
const off = { enable: false }

/** Two containers, one of them on two bridges with one IPv6 network. */
const twice = (firewall: object): object => ({
  bridges: { br0: {}, br1: {} },
  containers: {
    both: {
      privateNetwork: true,
      hostBridge: 'br0',
      localAddress6: 'fd05::1/64',
      extraVeths: { x: { hostBridge: 'br1', localAddress6: 'fd05::2/64' } },
      firewall
    },
    one: { privateNetwork: true, hostBridge: 'br1', localAddress6: 'fd05::3/64', firewall: off }
  }
})

/** A bridge whose address a unit gives without a length. */
const bare = (release: string): object => ({
  host: {
    release,
    manager: 'networkd',
    networkd: {
      enable: true,
      netdevs: { '10-br0': { netdevConfig: { Name: 'br0', Kind: 'bridge' } } },
      networks: {
        '10-br0': {
          matchConfig: { Name: 'br0' },
          networkConfig: { Address: '192.168.7.1', ConfigureWithoutCarrier: true }
        }
      }
    }
  },
  containers: { a: { privateNetwork: true, hostBridge: 'br0', localAddress: '192.168.7.2/24' } }
})

const routed = (interfaces: object, more: object = {}): object => ({
  host: {
    manager: 'networkd',
    networkd: { enable: true, networks: interfaces },
    ...more
  }
})

export const CASES: readonly Faithful[] = [
  {
    cause: 'each network outside is another one',
    topology: {
      host: uplink,
      bridges: {
        br1: { interfaces: ['p1'], dhcp: true },
        br2: { interfaces: ['p2'], dhcp: true }
      }
    },
    cells: [
      ['lan', '198.51.100.2', 'ping', 'answered host <- 198.51.100.3'],
      ['host', INTERNET, 'ping', 'answered internet <- 198.51.100.2'],
      ['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:1::2'],
      ['host', '198.18.1.3', 'ping', 'answered lan <- 198.18.1.2'],
      ['host', '2001:db8:3::3', 'ping', 'answered lan <- 2001:db8:3::2']
    ]
  },
  {
    cause: 'a bridge with a card, without an address and without DHCP, is given none',
    topology: {
      host: uplink,
      bridges: { br1: { interfaces: ['p1'] } },
      containers: { a: { privateNetwork: true, hostBridge: 'br1', localAddress: '10.9.0.2/24' } }
    },
    cells: [
      ['host', '10.9.0.2', 'ping', 'no-route'],
      ['a', INTERNET, 'ping', 'no-route']
    ]
  },
  {
    cause: 'where the uplink is a port, the bridge has its network',
    topology: { host: { interfaces: { eno1: {} } }, bridges: { br0: { interfaces: ['eno1'] } } },
    cells: [
      ['lan', '198.51.100.2', 'ping', 'answered host <- 198.51.100.3'],
      ['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:1::2']
    ]
  },
  {
    cause: 'a card that a container has taken is not the uplink of the host',
    topology: {
      host: { interfaces: { eth1: {} } },
      containers: {
        server: {
          privateNetwork: true,
          interfaces: ['eth1'],
          inside: { interfaces: { eth1: { address: ['10.10.0.1/24'] } } },
          firewall: off
        }
      }
    },
    cells: [['host', '10.10.0.1', 'ping', 'no-route']]
  },
  {
    cause: 'the internet does not have an address of the host',
    topology: {
      host: {
        interfaces: { eth0: { address: ['203.0.113.10/24'] } },
        defaultGateway: { address: '203.0.113.1', interface: 'eth0' }
      }
    },
    cells: [['host', '192.0.2.10', 'ping', 'answered internet <- 203.0.113.10']]
  },
  {
    cause: 'a network outside without room for a router or a LAN',
    topology: {
      host: {
        interfaces: { eth0: { address: ['10.1.2.1/31', '2001:db8:5::1/128'] } },
        defaultGateway: { address: '10.1.2.0', interface: 'eth0' }
      }
    },
    cells: [
      ['host', INTERNET, 'ping', 'answered internet <- 10.1.2.1'],
      ['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:5::1'],
      ['internet', '2001:db8:5::1', 'ping', `answered host <- ${INTERNET6}`]
    ]
  },
  {
    cause: 'the router of a unit, which may be a link-local address',
    topology: routed({
      '10-eth0': {
        matchConfig: { Name: 'eth0' },
        address: ['10.8.3.22/16', '2001:db8:5::2/64'],
        networkConfig: { Gateway: '10.8.1.1', IPv6AcceptRA: false },
        routes: [{ Gateway: 'fe80::1', GatewayOnLink: true }]
      }
    }),
    cells: [
      ['host', INTERNET, 'ping', 'answered internet <- 10.8.3.22'],
      ['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:5::2']
    ]
  },
  {
    cause: 'a route of another table than main',
    topology: routed({
      '20-eth0': {
        matchConfig: { Name: 'eth0' },
        address: ['10.8.0.14/24'],
        routes: [{ Gateway: '10.8.0.1' }]
      },
      '10-eth1': {
        matchConfig: { Name: 'eth1' },
        address: ['10.9.0.10/24'],
        routes: [{ Gateway: '10.9.0.1', Table: 100 }]
      }
    }),
    cells: [['host', INTERNET, 'ping', 'answered internet <- 10.8.0.14']]
  },
  {
    cause: 'of two equally good IPv6 addresses the one that was set last is the source',
    topology: { host: { interfaces: { eth0: { address: ['2001:db8:5::2/64', '2001:db8:5::3/64'] } } } },
    cells: [['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:5::3']]
  },
  {
    cause: 'an IPv6 address of the label of the destination is the source',
    topology: {
      host: uplink,
      bridges: { br0: { address: ['2001:db8:77::1/64', 'fd77::1/64'] } },
      containers: {
        a: {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress6: '2001:db8:77::2/64',
          inside: { interfaces: { eth0: { address: ['fd77::2/64'] } } },
          firewall: off
        }
      }
    },
    cells: [
      ['host', 'fd77::2', 'ping', 'answered a <- fd77::1'],
      ['host', '2001:db8:77::2', 'ping', 'answered a <- 2001:db8:77::1']
    ]
  },
  {
    cause: 'a ping in IPv6 is answered through the interface that was asked, and TCP by the first route',
    topology: twice(off),
    cells: [
      ['one', 'fd05::2', 'ping', 'answered both <- fd05::3'],
      ['one', 'fd05::2', 'tcp 9', 'timeout']
    ]
  },
  {
    cause: 'ip6tables takes any route for a way back, nft the first: with ip6tables',
    topology: twice({ enable: true, backend: 'iptables' }),
    cells: [['one', 'fd05::2', 'ping', 'answered both <- fd05::3']]
  },
  {
    cause: 'ip6tables takes any route for a way back, nft the first: with nft',
    topology: twice({ enable: true, backend: 'nftables' }),
    cells: [['one', 'fd05::2', 'ping', 'no-neighbour']]
  },
  {
    cause: 'a router of IPv6 has the lowest address of its networks too',
    topology: {
      host: uplink,
      bridges: { br0: { address: ['fd05::5/64', '10.5.0.5/24'] } },
      nat: { enable: true, enableIPv6: true, internalInterfaces: ['br0'], externalInterface: 'eth0' },
      containers: {
        a: {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress: '10.5.0.9/24',
          localAddress6: 'fd05::9/64'
        }
      }
    },
    cells: [
      ['a', 'fd05::', 'ping', 'answered host <- fd05::9'],
      ['a', 'fd05::', 'tcp 9', 'timeout'],
      ['a', 'fd05::4', 'ping', 'no-neighbour']
    ]
  },
  {
    cause: 'nothing from outside is forwarded to the loopback',
    topology: {
      host: uplink,
      nat: {
        enable: true,
        externalInterface: 'eth0',
        forwardPorts: [{ sourcePort: 5001, destination: '127.0.0.1:5001' }]
      }
    },
    cells: [['lan', '198.51.100.2', 'tcp 5001', 'timeout']]
  },
  {
    cause: 'who asks a forward is not told that its goal is nowhere',
    topology: {
      host: uplink,
      nat: {
        enable: true,
        externalInterface: 'eth0',
        forwardPorts: [{ sourcePort: 80, destination: '192.168.122.9:80' }]
      }
    },
    cells: [
      ['lan', '198.51.100.2', 'tcp 80', 'timeout'],
      ['internet', '198.51.100.2', 'tcp 80', 'timeout']
    ]
  },
  {
    cause: 'a public address that the file does not have is on the internet',
    topology: {
      host: uplink,
      bridges: { br0: { address: ['10.5.0.1/24'] } },
      nat: { enable: true, internalInterfaces: ['br0'], externalInterface: 'eth0' },
      containers: {
        a: {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress: '10.5.0.2/24',
          defaultGateway: { address: '10.5.0.1', interface: 'eth0' }
        }
      }
    },
    cells: [
      ['a', '9.9.9.9', 'ping', 'answered internet <- 198.51.100.2'],
      ['a', '9.9.9.9', 'tcp 80', 'refused internet <- 198.51.100.2'],
      ['a', '172.20.0.1', 'ping', 'no-route'],
      ['host', '2620:fe::fe', 'ping', 'answered internet <- 2001:db8:1::2'],
      ['host', 'fd99::1', 'ping', 'no-route']
    ]
  },
  {
    cause: 'a MicroVM is plugged in by a unit with a pattern',
    topology: {
      host: {
        manager: 'networkd',
        networkd: {
          enable: true,
          netdevs: { '20-br': { netdevConfig: { Kind: 'bridge', Name: 'br' } } },
          networks: {
            '20-br': {
              matchConfig: { Name: 'br' },
              address: ['10.6.0.1/24'],
              networkConfig: { ConfigureWithoutCarrier: true }
            },
            '21-taps': { matchConfig: { Name: 'vm-*' }, networkConfig: { Bridge: 'br' } }
          }
        }
      },
      vms: { m: { kind: 'microvm', interfaces: { 'vm-m': { type: 'tap', address: ['10.6.0.2/24'] } } } }
    },
    cells: [
      ['host', '10.6.0.2', 'ping', 'answered m <- 10.6.0.1'],
      ['m', '10.6.0.1', 'ping', 'answered host <- 10.6.0.2']
    ]
  },
  {
    cause: 'a bridge inside a container',
    topology: {
      bridges: { br0: { address: ['10.4.0.1/24', 'fd04::1/64'] } },
      containers: {
        c: {
          extraVeths: { x: { hostBridge: 'br0' } },
          inside: {
            bridges: {
              bi: { interfaces: ['x'], address: ['10.4.0.2/24', 'fd04::2/64'] },
              lone: { interfaces: ['x.5'], address: ['10.14.0.2/24'] }
            },
            vlans: { 'x.5': { id: 5, interface: 'x' } }
          },
          firewall: off
        }
      }
    },
    cells: [
      ['host', '10.4.0.2', 'ping', 'answered c <- 10.4.0.1'],
      ['host', 'fd04::2', 'tcp 9', 'refused c <- fd04::1'],
      ['c', '10.4.0.1', 'ping', 'answered host <- 10.4.0.2'],
      ['c', '10.14.0.9', 'ping', 'no-neighbour']
    ]
  },
  {
    cause: 'the routes of interfaces inside a container',
    topology: {
      bridges: { br0: { address: ['10.4.0.1/24', '10.99.0.1/32'] } },
      containers: {
        c: {
          extraVeths: { x: { hostBridge: 'br0' } },
          inside: {
            interfaces: {
              x: { address: ['10.4.0.2/24'], routes: [{ address: '10.99.0.0/24', via: '10.4.0.1' }] }
            }
          }
        }
      }
    },
    cells: [['c', '10.99.0.1', 'ping', 'answered host <- 10.4.0.2']]
  },
  {
    cause: 'whoever starts last has the name of an extra veth',
    topology: {
      bridges: { br0: { address: ['10.4.0.1/24'] } },
      containers: {
        a: {
          extraVeths: { lan: { hostBridge: 'br0' } },
          inside: { interfaces: { lan: { address: ['10.4.0.2/24'] } } }
        },
        b: {
          extraVeths: { lan: { hostBridge: 'br0' } },
          inside: { interfaces: { lan: { address: ['10.4.0.3/24'] } } }
        }
      }
    },
    cells: [
      ['host', '10.4.0.2', 'ping', 'no-neighbour'],
      ['host', '10.4.0.3', 'ping', 'answered b <- 10.4.0.1'],
      ['a', '10.4.0.1', 'ping', 'no-route']
    ]
  },
  {
    cause: 'an IPv6 address in an option of IPv4 works',
    topology: {
      containers: {
        a: { privateNetwork: true, hostAddress: 'fc00::2', localAddress: 'fc00::1' },
        b: { privateNetwork: true, hostAddress: '10.3.0.1', localAddress: '10.3.0.2' }
      }
    },
    cells: [
      ['host', 'fc00::1', 'ping', 'answered a <- fc00::2'],
      ['a', 'fc00::2', 'ping', 'answered host <- fc00::1'],
      ['a', '10.3.0.2', 'ping', 'no-route']
    ]
  },
  {
    cause: 'what networkd makes of an address without a length is up to the release: a class',
    topology: bare('22.11'),
    cells: [['host', '192.168.7.2', 'ping', 'answered a <- 192.168.7.1']]
  },
  {
    cause: 'what networkd makes of an address without a length is up to the release: one address',
    topology: bare('25.11'),
    cells: [['host', '192.168.7.2', 'ping', 'no-route']]
  },
  {
    cause: 'the far end of a cable is not in the host, which would hear its own advertisements',
    topology: routed(
      {
        '10-lan0': {
          matchConfig: { Name: 'lan0' },
          address: ['10.8.0.1/24', 'fd08::1/64'],
          networkConfig: { IPv6SendRA: true, ConfigureWithoutCarrier: true }
        }
      },
      { interfaces: { wan0: { dhcp: true } } }
    ),
    cells: [
      ['host', INTERNET, 'ping', 'answered internet <- 198.51.100.2'],
      ['host', INTERNET6, 'ping', 'answered internet <- 2001:db8:1::2']
    ]
  },
  {
    cause: "a unit gives the host's end of an extra veth its address",
    topology: {
      host: {
        manager: 'networkd',
        networkd: {
          enable: true,
          networks: { '10-game': { name: 've-game', address: ['10.6.7.1/24', 'fd06::1/64'] } }
        }
      },
      containers: {
        game: {
          privateNetwork: true,
          extraVeths: { 've-game': {} },
          inside: { interfaces: { 've-game': { address: ['10.6.7.2/24', 'fd06::2/64'] } } },
          firewall: off
        }
      }
    },
    cells: [
      ['host', '10.6.7.2', 'ping', 'answered game <- 10.6.7.1'],
      ['host', 'fd06::2', 'ping', 'answered game <- fd06::1']
    ]
  },
  {
    cause: 'of several bridges with DHCP the way out is the one whose unit has a default route, on the link',
    topology: {
      host: {
        manager: 'networkd',
        networkd: {
          enable: true,
          networks: {
            '30-br1': {
              matchConfig: { Name: 'br1' },
              DHCP: 'yes',
              routes: [{ Destination: '0.0.0.0/0', Gateway: '10.1.30.1' }]
            }
          }
        }
      },
      bridges: { br0: { interfaces: ['eth0'], dhcp: true }, br1: { interfaces: ['eth1'], dhcp: true } }
    },
    cells: [['host', INTERNET, 'ping', 'no-neighbour']]
  }
]
