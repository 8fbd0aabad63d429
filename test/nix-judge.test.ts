import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  type Evaluation,
  type Json,
  type Module,
  type Modules,
  evalModule,
  evalModules,
  parseNix,
  withoutNix,
  withoutNixpkgs
} from './nix.ts'

// What the judge of generated modules takes and refuses, merged by nixpkgs' own lib and without it.

const user = (text: string): Module => ({ text, roots: 'any' })

const BRIDGED = `
  # Two containers on a bridge that networkd makes.
  { lib, ... }:
  {
    networking.nat = {
      enable = true;
      enableIPv6 = true;
      externalInterface = "enp1s0";
      internalInterfaces = [ "br0" ];
      forwardPorts = [
        {
          sourcePort = 8080;
          destination = "10.20.0.2:80";
        }
        {
          sourcePort = "3000:3009";
          proto = "udp";
          destination = "[fd12:3456:789a::2]:3000-3009";
          loopbackIPs = [ "203.0.113.7" ];
        }
      ];
    };
    networking.networkmanager.unmanaged = [ "interface-name:br0" ];
    boot.kernel.sysctl."net.ipv4.conf.br0.rp_filter" = lib.mkOverride 99 2;
    systemd.network = {
      enable = true;
      wait-online.enable = false;
      netdevs."20-br0".netdevConfig = {
        Name = "br0";
        Kind = "bridge";
        MACAddress = "02:00:00:00:00:01";
      };
      networks."40-br0" = {
        matchConfig.Name = "br0";
        address = [
          "10.20.0.1/24"
          "fd12:3456:789a::1/64"
        ];
        networkConfig = {
          ConfigureWithoutCarrier = true;
          IPv6AcceptRA = "no";
          LinkLocalAddressing = "ipv6";
        };
        linkConfig.RequiredForOnline = "no-carrier:routable";
        routes = [ { Destination = "10.30.0.0/16"; Gateway = "10.20.0.9"; Metric = 512; } ];
      };
      networks."10-containers" = {
        matchConfig = { Kind = "veth"; Name = "ve-*"; };
        linkConfig.Unmanaged = true;
      };
    };
    containers.web = {
      privateNetwork = true;
      hostBridge = "br0";
      localAddress = "10.20.0.2/24";
      localAddress6 = "fd12:3456:789a::2/64";
      localMacAddress = "02:00:00:00:00:02";
      config = {
        networking = {
          defaultGateway = { address = "10.20.0.1"; interface = "eth0"; };
          defaultGateway6 = { address = "fd12:3456:789a::1"; interface = "eth0"; };
          nameservers = [ "9.9.9.9" ];
          useHostResolvConf = false;
          firewall.allowedTCPPorts = [ 80 443 ];
        };
        services.resolved.enable = true;
      };
    };
    containers.db = {
      privateNetwork = true;
      hostAddress = "10.21.0.1";
      localAddress = "10.21.0.2";
      forwardPorts = [ { hostPort = 5432; } ];
      extraVeths.back = { hostBridge = "br0"; localAddress = "10.20.0.3/24"; };
    };
  }
`

const BRIDGED_CONFIG = {
  networking: {
    nat: {
      enable: true,
      enableIPv6: true,
      externalInterface: 'enp1s0',
      internalInterfaces: ['br0'],
      forwardPorts: [
        { sourcePort: 8080, destination: '10.20.0.2:80' },
        {
          sourcePort: '3000:3009',
          proto: 'udp',
          destination: '[fd12:3456:789a::2]:3000-3009',
          loopbackIPs: ['203.0.113.7']
        }
      ]
    },
    networkmanager: { unmanaged: ['interface-name:br0'] }
  },
  boot: { kernel: { sysctl: { 'net.ipv4.conf.br0.rp_filter': 2 } } },
  systemd: {
    network: {
      enable: true,
      'wait-online': { enable: false },
      netdevs: {
        '20-br0': { netdevConfig: { Name: 'br0', Kind: 'bridge', MACAddress: '02:00:00:00:00:01' } }
      },
      networks: {
        '40-br0': {
          matchConfig: { Name: 'br0' },
          address: ['10.20.0.1/24', 'fd12:3456:789a::1/64'],
          networkConfig: { ConfigureWithoutCarrier: true, IPv6AcceptRA: 'no', LinkLocalAddressing: 'ipv6' },
          linkConfig: { RequiredForOnline: 'no-carrier:routable' },
          routes: [{ Destination: '10.30.0.0/16', Gateway: '10.20.0.9', Metric: 512 }]
        },
        '10-containers': {
          matchConfig: { Kind: 'veth', Name: 've-*' },
          linkConfig: { Unmanaged: true }
        }
      }
    }
  },
  containers: {
    web: {
      privateNetwork: true,
      hostBridge: 'br0',
      localAddress: '10.20.0.2/24',
      localAddress6: 'fd12:3456:789a::2/64',
      localMacAddress: '02:00:00:00:00:02',
      config: {
        networking: {
          defaultGateway: { address: '10.20.0.1', interface: 'eth0' },
          defaultGateway6: { address: 'fd12:3456:789a::1', interface: 'eth0' },
          nameservers: ['9.9.9.9'],
          useHostResolvConf: false,
          firewall: { allowedTCPPorts: [80, 443] }
        },
        services: { resolved: { enable: true } }
      }
    },
    db: {
      privateNetwork: true,
      hostAddress: '10.21.0.1',
      localAddress: '10.21.0.2',
      forwardPorts: [{ hostPort: 5432 }],
      extraVeths: { back: { hostBridge: 'br0', localAddress: '10.20.0.3/24' } }
    }
  }
}

interface Taken {
  readonly modules: Modules
  readonly config: Json
  readonly release?: string
}

const TAKEN: Readonly<Record<string, Taken>> = {
  'containers on a bridge of networkd': { modules: BRIDGED, config: BRIDGED_CONFIG },
  'a host with scripts': {
    modules: `{
      networking = {
        useDHCP = false;
        bridges.br0.interfaces = [ ];
        bonds.bond0 = { interfaces = [ "enp1s0" "enp2s0" ]; driverOptions.mode = "802.3ad"; };
        vlans.vlan7 = { id = 7; interface = "bond0"; };
        interfaces.br0.ipv4.addresses = [ { address = "10.20.0.1"; prefixLength = 24; } ];
        interfaces.br0.ipv6.addresses = [ { address = "fd12::1"; prefixLength = 128; } ];
        interfaces.vlan7 = { };
        defaultGateway = "192.0.2.1";
        firewall.interfaces."br0".allowedUDPPorts = [ 53 ];
        firewall.interfaces."br0".allowedTCPPortRanges = [ { from = 1; to = 2; } ];
        firewall.checkReversePath = "loose";
        nftables.tables.nat = { family = "inet"; content = "chain pre { }"; };
      };
      containers.a.privateUsers = "pick";
      containers.b.privateUsers = 65536;
      containers.b.networkNamespace = null;
    }`,
    config: {
      networking: {
        useDHCP: false,
        bridges: { br0: { interfaces: [] } },
        bonds: { bond0: { interfaces: ['enp1s0', 'enp2s0'], driverOptions: { mode: '802.3ad' } } },
        vlans: { vlan7: { id: 7, interface: 'bond0' } },
        interfaces: {
          br0: {
            ipv4: { addresses: [{ address: '10.20.0.1', prefixLength: 24 }] },
            ipv6: { addresses: [{ address: 'fd12::1', prefixLength: 128 }] }
          },
          vlan7: {}
        },
        defaultGateway: { address: '192.0.2.1' },
        firewall: {
          interfaces: { br0: { allowedUDPPorts: [53], allowedTCPPortRanges: [{ from: 1, to: 2 }] } },
          checkReversePath: 'loose'
        },
        nftables: { tables: { nat: { family: 'inet', content: 'chain pre { }' } } }
      },
      containers: { a: { privateUsers: 'pick' }, b: { privateUsers: 65536, networkNamespace: null } }
    }
  },
  'nothing, since nobody has set anything': {
    modules: [
      '{ }',
      '{ ... }: { config = { }; }',
      '{ lib, ... }: lib.mkIf false { networking.useDHCP = true; }'
    ],
    config: {}
  },
  'an empty container': {
    modules: '{ containers.a = { }; containers.b.config = { }; containers.c.config = { ... }: { }; }',
    config: { containers: { a: {}, b: { config: {} }, c: { config: {} } } }
  },
  'options directly and under config, sets and functions': {
    modules: [
      '{ networking.useDHCP = false; }',
      '{ config.networking.useNetworkd = true; }',
      '{ lib, ... }: { config = lib.mkIf (lib.elem 1 [ 1 ]) { networking.enableIPv6 = true; }; }',
      '{ containers.a.config.networking.enableIPv6 = true; }',
      '{ containers.a.config = { lib, config, pkgs, ... }: { networking.useHostResolvConf = lib.mkForce false; }; }',
      '{ containers.a.config = { config.networking.nameservers = [ "::1" ]; }; }',
      '{ containers.a = { name, ... }: { localAddress = "192.0.2.1"; macvlans = [ name ]; }; }'
    ],
    config: {
      networking: { useDHCP: false, useNetworkd: true, enableIPv6: true },
      containers: {
        a: {
          localAddress: '192.0.2.1',
          macvlans: ['a'],
          config: { networking: { enableIPv6: true, useHostResolvConf: false, nameservers: ['::1'] } }
        }
      }
    }
  },
  "a user's module beside a generated one": {
    modules: [
      BRIDGED,
      user(`
        { config, lib, pkgs, ... }:
        {
          imports = [ ];
          system.stateVersion = "25.11";
          services.openssh = { enable = true; ports = [ 22 ]; };
          users.users.alice.extraGroups = [ "wheel" ];
          networking.nat.enable = true;
          networking.nat.internalInterfaces = [ "virbr0" ];
          networking.firewall.allowedTCPPorts = lib.optional config.services.openssh.enable 22;
          systemd.services.backup.script = "true";
          systemd.network.networks."40-br0".networkConfig.LLDP = false;
          containers.web = {
            autoStart = true;
            privateNetwork = true;
            bindMounts."/srv" = { hostPath = "/data/web"; isReadOnly = false; };
            config = { config, ... }: {
              services.httpd.enable = true;
              system.stateVersion = "25.11";
              networking.firewall.allowedTCPPorts = lib.mkIf config.services.httpd.enable [ 8080 ];
            };
          };
        }
      `),
      user(
        '{ users.users.alice.extraGroups = [ "audio" ]; services.openssh.settings.X11Forwarding = false; }'
      )
    ],
    config: (() => {
      const { networking, boot, systemd, containers } = BRIDGED_CONFIG
      return {
        boot,
        system: { stateVersion: '25.11' },
        services: { openssh: { enable: true, ports: [22], settings: { X11Forwarding: false } } },
        users: { users: { alice: { extraGroups: ['audio', 'wheel'] } } },
        networking: {
          ...networking,
          // nixpkgs takes the lists of the last module first.
          nat: { ...networking.nat, internalInterfaces: ['virbr0', 'br0'] },
          firewall: { allowedTCPPorts: [22] }
        },
        systemd: {
          services: { backup: { script: 'true' } },
          network: {
            ...systemd.network,
            networks: {
              ...systemd.network.networks,
              '40-br0': {
                ...systemd.network.networks['40-br0'],
                networkConfig: { ...systemd.network.networks['40-br0'].networkConfig, LLDP: false }
              }
            }
          }
        },
        containers: {
          ...containers,
          web: {
            ...containers.web,
            autoStart: true,
            bindMounts: { '/srv': { hostPath: '/data/web', isReadOnly: false } },
            config: {
              services: { ...containers.web.config.services, httpd: { enable: true } },
              system: { stateVersion: '25.11' },
              networking: {
                ...containers.web.config.networking,
                firewall: { allowedTCPPorts: [8080, 80, 443] }
              }
            }
          }
        }
      }
    })()
  },
  'lines, lists, sets and equal scalars of three modules': {
    modules: [1, 2, 3].map(
      i => `{ lib, ... }: {
        networking.hostName = "same";
        networking.firewall.extraCommands = lib.mkMerge [ "a${i}" "b${i}" ];
        networking.firewall.pingLimit = "--${i}";
        networking.nameservers = [ "192.0.2.${i}" ];
        networking.hosts."192.0.2.9" = [ "name${i}" ];
        networking.interfaces."eth${i}".useDHCP = true;
        containers.a.macvlans = [ "mv${i}" ];
        containers.a.config.networking.nameservers = [ "2001:db8::${i}" ];
        systemd.network.networks.x.networkConfig = { DNS = [ "192.0.2.${i}" ]; Domains = "same"; };
        systemd.network.networks.x.addresses = [ { Address = "192.0.2.${i}/24"; } ];
      }`
    ),
    config: {
      networking: {
        hostName: 'same',
        firewall: { extraCommands: 'a3\nb3\na2\nb2\na1\nb1', pingLimit: '--3 --2 --1' },
        nameservers: ['192.0.2.3', '192.0.2.2', '192.0.2.1'],
        hosts: { '192.0.2.9': ['name3', 'name2', 'name1'] },
        interfaces: { eth1: { useDHCP: true }, eth2: { useDHCP: true }, eth3: { useDHCP: true } }
      },
      containers: {
        a: {
          macvlans: ['mv1', 'mv2', 'mv3'],
          config: { networking: { nameservers: ['2001:db8::3', '2001:db8::2', '2001:db8::1'] } }
        }
      },
      systemd: {
        network: {
          networks: {
            x: {
              networkConfig: { DNS: ['192.0.2.1', '192.0.2.2', '192.0.2.3'], Domains: 'same' },
              addresses: [
                { Address: '192.0.2.1/24' },
                { Address: '192.0.2.2/24' },
                { Address: '192.0.2.3/24' }
              ]
            }
          }
        }
      }
    }
  },
  priorities: {
    modules: [
      `{ lib, ... }: {
        networking.hostName = lib.mkDefault "default";
        networking.domain = lib.mkDefault "default";
        networking.enableIPv6 = true;
        networking.nameservers = lib.mkForce [ "192.0.2.1" ];
        networking.search = lib.mkDefault [ "default" ];
        networking.firewall = lib.mkForce { enable = false; allowPing = false; };
        networking.useDHCP = lib.mkOverride 10 false;
        containers.a.localAddress = lib.mkOverride 90 "192.0.2.90";
        containers.a.config.networking.useDHCP = lib.mkForce true;
      }`,
      `{ lib, ... }: {
        networking.hostName = "plain";
        networking.domain = lib.mkOverride 1001 "lower";
        networking.enableIPv6 = lib.mkForce false;
        networking.nameservers = [ "192.0.2.2" ];
        networking.search = [ "plain" ];
        networking.firewall.enable = true;
        networking.firewall.rejectPackets = true;
        networking.useDHCP = lib.mkForce true;
        containers.a.localAddress = "192.0.2.100";
      }`
    ],
    config: {
      networking: {
        hostName: 'plain',
        domain: 'default',
        enableIPv6: false,
        nameservers: ['192.0.2.1'],
        search: ['plain'],
        firewall: { enable: false, allowPing: false, rejectPackets: true },
        useDHCP: false
      },
      containers: { a: { localAddress: '192.0.2.90', config: { networking: { useDHCP: true } } } }
    }
  },
  'mkIf, mkMerge and an order': {
    modules: [
      `{ lib, config, ... }: lib.mkMerge [
        { networking.useNetworkd = true; }
        (lib.mkIf config.networking.useNetworkd { networking.useDHCP = false; })
        (lib.mkIf (!config.networking.useNetworkd) { networking.enableIPv6 = false; })
        {
          networking.nameservers = lib.mkMerge [
            (lib.mkAfter [ "last" ])
            (lib.mkIf false [ "never" ])
            [ "middle" (lib.mkIf false "never") (lib.mkIf true "middle too") ]
            (lib.mkBefore [ "first" ])
          ];
          networking.hosts = lib.mkIf true { a = lib.mkIf false [ "never" ]; b = [ "b" ]; };
        }
      ]`
    ],
    config: {
      networking: {
        useNetworkd: true,
        useDHCP: false,
        nameservers: ['first', 'middle', 'middle too', 'last'],
        hosts: { b: ['b'] }
      }
    }
  },
  'what a container has from NixOS is weaker, and is not shown': {
    modules: `{ lib, ... }: {
      containers.a.config = { config, ... }: {
        networking.useHostResolvConf = false;
        networking.hostName = "other";
        networking.enableIPv6 = config.boot.isContainer && !config.networking.useDHCP;
      };
      containers.b.config = { config, ... }: { networking.domain = config.networking.hostName; };
    }`,
    config: {
      containers: {
        a: { config: { networking: { useHostResolvConf: false, hostName: 'other', enableIPv6: true } } },
        b: { config: { networking: { domain: 'b' } } }
      }
    }
  },
  'containers in containers': {
    modules: '{ containers.a.config.containers.b.config.networking.nat.enable = true; }',
    config: {
      containers: {
        a: { config: { containers: { b: { config: { networking: { nat: { enable: true } } } } } } }
      }
    }
  },
  'units of NixOS 24.05': {
    release: '24.05',
    modules: `{ systemd.network.networks.x = {
      networkConfig.IPForward = "ipv4";
      addresses = [ { addressConfig.Address = "192.0.2.1/24"; } ];
    }; services.resolved.extraConfig = "Cache=no"; }`,
    config: {
      services: { resolved: { extraConfig: 'Cache=no' } },
      systemd: {
        network: {
          networks: {
            x: { networkConfig: { IPForward: 'ipv4' }, addresses: [{ Address: '192.0.2.1/24' }] }
          }
        }
      }
    }
  },
  'units of NixOS 24.11': {
    release: '24.11',
    modules: `{ systemd.network.networks.x = {
      networkConfig.IPv4Forwarding = true;
      addresses = [ { addressConfig.Address = "192.0.2.1/24"; } { Address = "2001:db8::1/64"; } ];
    }; }`,
    config: {
      systemd: {
        network: {
          networks: {
            x: {
              networkConfig: { IPv4Forwarding: true },
              addresses: [{ Address: '192.0.2.1/24' }, { Address: '2001:db8::1/64' }]
            }
          }
        }
      }
    }
  }
}

interface Refused {
  readonly modules: Modules
  readonly because: readonly RegExp[]
  readonly release?: string
}

const unit = (text: string): string => `{ systemd.network.networks."40-br0" = { ${text} }; }`
const netdev = (text: string): string => `{ systemd.network.netdevs."20-br0" = { ${text} }; }`
const NETDEV = 'netdevConfig = { Name = "br0"; Kind = "bridge"; };'
const SECTION =
  /^A definition for option `systemd\.network\..*' is not of type `attribute set of \(systemd option\)'/

const REFUSED: Readonly<Record<string, Refused>> = {
  'an option that is misspelt': {
    modules: '{ containers.web.localAdress = "192.0.2.1"; }',
    because: [/^The option `containers\.web\.localAdress' does not exist/]
  },
  'an unknown option of the network': {
    modules: '{ networking.bridge.br0 = { }; }',
    because: [/^The option `networking\.bridge' does not exist/]
  },
  "an unknown option of the network in a user's module": {
    modules: [user('{ systemd.network.network = { }; }')],
    because: [/^The option `systemd\.network\.network' does not exist/]
  },
  "an unknown root in a user's module": {
    modules: [user('{ contaners.web.autoStart = true; }')],
    because: [/^The option `contaners' does not exist/]
  },
  'an unknown option behind a condition that is false': {
    modules: '{ lib, ... }: lib.mkIf false { networking.nats.enable = true; }',
    because: [/^The option `networking\.nats' does not exist/]
  },
  'an unknown option within a container': {
    modules: '{ containers.web.config = { ... }: { networking.firewal.enable = true; }; }',
    because: [/^The option `containers\.web\.networking\.firewal' does not exist/]
  },
  'an unknown option within a submodule in a list': {
    modules:
      '{ networking.nat.forwardPorts = [ { sourcePort = 1; destination = "a"; protocol = "tcp"; } ]; }',
    because: [
      /^The option `networking\.nat\.forwardPorts\."\[definition 1-entry 1\]"\.protocol' does not exist/
    ]
  },
  'an option outside of the network in a generated module': {
    modules: '{ services.httpd.enable = true; }',
    because: [/^The option `services\.httpd' is none of the network's/]
  },
  'an option outside of the network in a container of a generated module': {
    modules: [
      user('{ containers.a.config.services.httpd.enable = true; }'),
      '{ containers.a.config.system.x = 1; }'
    ],
    because: [/^The option `containers\.a\.system' is none of the network's/]
  },
  'a misspelt key in networkConfig': {
    modules: unit('networkConfig.ConfigureWithoutCarier = true;'),
    because: [
      SECTION,
      /`systemd\.network\.networks\.40-br0\.networkConfig'|networks\."40-br0"\.networkConfig'/,
      /ConfigureWithoutCarier/
    ]
  },
  'a switch that nixpkgs does not take': {
    modules: unit('networkConfig.IPv6AcceptRA = "on";'),
    because: [SECTION]
  },
  'a word outside of the enum': { modules: unit('networkConfig.DHCP = "both";'), because: [SECTION] },
  'the same below mkForce': {
    modules: `{ lib, ... }: ${unit('networkConfig.DHCP = lib.mkForce "both";')}`,
    because: [SECTION]
  },
  'a range of states the wrong way round': {
    modules: unit('linkConfig.RequiredForOnline = "routable:carrier";'),
    because: [SECTION]
  },
  'a number as text': {
    modules: unit('routes = [ { Gateway = "192.0.2.1"; Metric = "1"; } ];'),
    because: [SECTION]
  },
  'a number out of range': { modules: netdev(`${NETDEV} vlanConfig.Id = 4095;`), because: [SECTION] },
  'a MAC address that is none': {
    modules: netdev('netdevConfig = { Name = "br0"; Kind = "bridge"; MACAddress = "2:0:0:0:0:1"; };'),
    because: [SECTION]
  },
  'a netdev without Kind': { modules: netdev('netdevConfig.Name = "br0";'), because: [SECTION, /Kind/] },
  'a netdev in two halves': {
    modules: [netdev('netdevConfig.Name = "br0";'), netdev('netdevConfig.Kind = "bridge";')],
    because: [SECTION, /must have/]
  },
  'a netdev without netdevConfig': {
    modules: netdev('bridgeConfig.STP = true;'),
    because: [/netdevConfig' was accessed but has no value defined|netdevConfig' is used but not defined/]
  },
  'an address section with keys in both forms': {
    modules: unit('addresses = [ { Address = "192.0.2.1/24"; addressConfig.Label = "x"; } ];'),
    because: [SECTION]
  },
  'IPForward in NixOS 24.11': {
    release: '24.11',
    modules: unit('networkConfig.IPForward = true;'),
    because: [SECTION, /IPForward/]
  },
  'IPv4Forwarding in NixOS 24.05': {
    release: '24.05',
    modules: unit('networkConfig.IPv4Forwarding = true;'),
    because: [SECTION, /IPv4Forwarding/]
  },
  'plain sections in NixOS 24.05': {
    release: '24.05',
    modules: unit('addresses = [ { Address = "192.0.2.1/24"; } ];'),
    because: [SECTION, /addressConfig/]
  },
  'localMacAddress in NixOS 25.11': {
    release: '25.11',
    modules: '{ containers.a.localMacAddress = "02:00:00:00:00:01"; }',
    because: [/^The option `containers\.a\.localMacAddress' does not exist/]
  },
  'a port as text': {
    modules: '{ networking.firewall.allowedTCPPorts = [ 22 "80" ]; }',
    because: [
      /^A definition for option `networking\.firewall\.allowedTCPPorts\."\[definition 1-entry 2\]"' is not of type `16 bit unsigned integer; between 0 and 65535 \(both inclusive\)'/,
      /"80"/
    ]
  },
  'a port that is none': {
    modules: '{ containers.a.forwardPorts = [ { hostPort = 65536; } ]; }',
    because: [/hostPort' is not of type `16 bit unsigned integer/, /65536/]
  },
  'one address for a list of them': {
    modules: unit('address = "192.0.2.1/24";'),
    because: [/40-br0"?\.address' is not of type `list of string'/, /192\.0\.2\.1/]
  },
  'a switch as text': {
    modules: '{ containers.a.privateNetwork = "yes"; }',
    because: [/^A definition for option `containers\.a\.privateNetwork' is not of type `boolean'/, /"yes"/]
  },
  'a number for text': {
    modules: '{ containers.a.hostBridge = 1; }',
    because: [/`containers\.a\.hostBridge' is not of type `null or string'/]
  },
  'a set for text': {
    modules: '{ networking.nat.externalInterface = { }; }',
    because: [/externalInterface' is not of type `null or string'/]
  },
  'text for a set of options': {
    modules: '{ networking.nat = "on"; }',
    because: [/networking\.nat|a string while a set/]
  },
  'text for a container': {
    modules: '{ containers.a = "x"; }',
    because: [/`containers\.a' is not of type `\(?submodule\)?'/]
  },
  'a MAC address outside of the pattern': {
    modules: '{ containers.a.localMacAddress = "02-00-00-00-00-01"; }',
    because: [/localMacAddress' is not of type `null or string matching the pattern/]
  },
  'a range of ports with a hyphen': {
    modules: '{ networking.nat.forwardPorts = [ { sourcePort = "1-2"; destination = "a"; } ]; }',
    because: [/sourcePort' is not of type `signed integer or string matching the pattern/]
  },
  'a prefix that IPv4 has not': {
    modules:
      '{ networking.interfaces.a.ipv4.addresses = [ { address = "192.0.2.1"; prefixLength = 33; } ]; }',
    because: [/prefixLength' is not of type `signed integer'/]
  },
  'a prefix that IPv6 has not': {
    modules: '{ networking.interfaces.a.ipv6.addresses = [ { address = "::1"; prefixLength = 129; } ]; }',
    because: [/prefixLength' is not of type `signed integer'/]
  },
  'a wrong type within a container': {
    modules: '{ containers.a.config.networking.nameservers = "192.0.2.1"; }',
    because: [
      /^A definition for option `containers\.a\.networking\.nameservers' is not of type `list of string'/
    ]
  },
  'no value for an option without a default': {
    modules: '{ networking.nat.forwardPorts = [ { sourcePort = 1; } ]; }',
    because: [/destination' (?:was accessed but has no value|is used but not) defined/]
  },
  'the same for a bridge': {
    modules: '{ networking.bridges.br0 = { }; }',
    because: [
      /`networking\.bridges\.br0\.interfaces' (?:was accessed but has no value|is used but not) defined/
    ]
  },
  'two values': {
    modules: [
      '{ containers.a.localAddress = "192.0.2.1"; }',
      user('{ containers.a.localAddress = "192.0.2.2"; }')
    ],
    because: [
      /^The option `containers\.a\.localAddress' has conflicting definition values/,
      /In `generated module 1': "192\.0\.2\.1"/,
      /In `user module 2': "192\.0\.2\.2"/
    ]
  },
  'two values by default': {
    modules: [
      '{ lib, ... }: { networking.hostName = lib.mkDefault "a"; }',
      '{ lib, ... }: { networking.hostName = lib.mkDefault "b"; }'
    ],
    because: [/^The option `networking\.hostName' has conflicting definition values/]
  },
  'two values in a section': {
    modules: [unit('networkConfig.DHCP = "yes";'), unit('networkConfig.DHCP = "no";')],
    because: [/networkConfig\.DHCP' has conflicting definition values/]
  },
  'two values in the config of a container': {
    modules: [
      '{ containers.a.config = { ... }: { services.resolved.enable = true; }; }',
      '{ containers.a.config.services.resolved.enable = false; }'
    ],
    because: [/^The option `containers\.a\.services\.resolved\.enable' has conflicting definition values/]
  },
  'a value against the one that a container has from NixOS': {
    modules: '{ containers.a.config.networking.useDHCP = true; }',
    because: [/^The option `containers\.a\.networking\.useDHCP' has conflicting definition values/]
  },
  'null and a value': {
    modules: ['{ containers.a.hostBridge = null; }', '{ containers.a.hostBridge = "br0"; }'],
    because: [/containers\.a\.hostBridge.* is defined both null and not null/]
  },
  'the same sysctl twice': {
    modules: [1, 2].map(() => '{ boot.kernel.sysctl."net.ipv4.ip_forward" = 1; }'),
    because: [/^The option `boot\.kernel\.sysctl\."net\.ipv4\.ip_forward"' is defined multiple times/]
  },
  'two values of an option that is not declared': {
    modules: [user('{ services.x.y = 1; }'), user('{ services.x.y = 2; }')],
    because: [/^The option `services\.x\.y' has conflicting definition values/]
  },
  'another attribute beside config': {
    modules: '{ config = { }; networking.useDHCP = true; }',
    because: [/unsupported attribute `networking'/]
  },
  'a module that is no set': { modules: '"networking"', because: [/module/] },
  'a condition that is no Boolean': {
    modules: '{ lib, ... }: { networking.useDHCP = lib.mkIf "yes" true; }',
    because: [/mkIf/]
  },
  'what a module throws': { modules: '{ networking.hostName = throw "not today"; }', because: [/not today/] },
  'an attribute that is not there': {
    modules: '{ lib, ... }: { networking.hostName = lib.noSuchThing; }',
    because: [/attribute 'noSuchThing' missing/, /generated module 1/]
  },
  'a function that takes too little': {
    modules: '{ lib }: { networking.useDHCP = true; }',
    because: [/unexpected argument/]
  },
  'an endless recursion': {
    modules: '{ config, ... }: { networking.hostName = config.networking.hostName; }',
    because: [/infinite recursion/]
  },
  'a syntax error': {
    modules: '{ networking.useDHCP = ; }',
    because: [/syntax error/, /generated module 1:1:/]
  }
}

const faultsOf = (evaluation: Evaluation | undefined): string => {
  if (evaluation === undefined || !('faults' in evaluation)) throw new Error(JSON.stringify(evaluation))
  return evaluation.faults.join('\n\n')
}

const CASES: readonly (readonly [name: string, known: Taken | Refused])[] = [
  ...Object.entries(TAKEN).map(([name, taken]) => [`taken: ${name}`, taken] as const),
  ...Object.entries(REFUSED).map(([name, refused]) => [`refused: ${name}`, refused] as const)
]

/** All cases by name, those of a release in one process. */
const answersOf = async (merge: 'plain' | 'nixpkgs'): Promise<ReadonlyMap<string, Evaluation>> => {
  const answers = new Map<string, Evaluation>()
  for (const release of new Set(CASES.map(([, known]) => known.release))) {
    const some = CASES.filter(([, known]) => known.release === release)
    const evaluations = await evalModules(
      some.map(([, { modules }]) => modules),
      { merge, ...(release === undefined ? {} : { release }) }
    )
    for (const [i, [name]] of some.entries()) {
      const evaluation = evaluations[i]
      if (evaluation !== undefined) answers.set(name, evaluation)
    }
  }
  return answers
}

const judge = (known: Taken | Refused, evaluation: Evaluation | undefined): void => {
  if ('config' in known) expect(evaluation).toEqual({ config: known.config })
  else for (const reason of known.because) expect(faultsOf(evaluation)).toMatch(reason)
}

describe('modules', () => {
  let answers: ReturnType<typeof answersOf> | undefined

  test.skipIf(withoutNix()).each(CASES)('are %s', async (name, known) => {
    answers ??= answersOf('plain')
    judge(known, (await answers).get(name))
  })

  test.skipIf(withoutNix())('are judged alone as among others', async () => {
    const { "a user's module beside a generated one": taken } = TAKEN
    const { 'what a module throws': thrown, 'a syntax error': unreadable } = REFUSED
    for (const known of [taken, thrown, unreadable])
      if (known !== undefined) judge(known, await evalModule(known.modules, { merge: 'plain' }))
  })

  test.skipIf(withoutNixpkgs())("are judged by nixpkgs' own merge in the same way", async () => {
    const answers = await answersOf('nixpkgs')
    expect(answers.size).toBe(CASES.length)
    for (const [name, known] of CASES)
      try {
        judge(known, answers.get(name))
      } catch (error) {
        throw new Error(name, { cause: error })
      }
  })

  test.skipIf(withoutNix())('of many hosts are told apart', async () => {
    const hosts = Array.from({ length: 300 }, (_, i) => i)
    const evaluations = await evalModules(
      hosts.map(i => [BRIDGED, `{ networking.hostName = "host${i}"; }`]),
      { merge: 'plain' }
    )
    expect(evaluations).toEqual(
      hosts.map(i => ({
        config: {
          ...BRIDGED_CONFIG,
          networking: { ...BRIDGED_CONFIG.networking, hostName: `host${i}` }
        }
      }))
    )
  })

  test.skipIf(withoutNix())('give no option a value of no type', async () => {
    const { options } = JSON.parse(readFileSync(new URL('nixos/options.json', import.meta.url), 'utf8')) as {
      options: Record<string, Json>
    }
    const judged = Object.entries(options)
      .filter(([, declared]) => !/"(?:anything|toplevel|until)"/.test(JSON.stringify(declared)))
      .map(([path]) => path)
    expect(judged.length).toBeGreaterThan(200)
    // 1.5 is neither text nor a switch, no list, no set and no whole number.
    const nested = ([first, ...rest]: readonly string[]): string => {
      if (first === undefined) return '1.5'
      return first === '*'
        ? `[ ${nested(rest)} ]`
        : `{ ${first === '<name>' ? 'x' : first} = ${nested(rest)}; }`
    }
    const evaluations = await evalModules(
      judged.map(path => nested(path.split('.'))),
      { merge: 'plain' }
    )
    for (const [i, path] of judged.entries())
      expect(faultsOf(evaluations[i])).toContain(
        `definition for option \`${path.replaceAll('<name>', 'x').replaceAll('*', '"[definition 1-entry 1]"')}`
      )
  })
})

describe('the text of modules', () => {
  test.skipIf(withoutNix())('is parsed', async () => {
    expect(await parseNix({})).toEqual({})
    expect(await parseNix({ a: BRIDGED, b: '{ }', c: 'x: x' })).toEqual({})
  })

  test.skipIf(withoutNix())('is refused with the name and the place of each', async () => {
    const faults = await parseNix({
      'good.nix': '{ a = 1; }',
      'semicolon.nix': '{\n  a = 1\n}',
      'fine.nix': '{ a = "${"b"}"; }',
      'quote.nix': '{ a = "b; }',
      'variable.nix': '{ a = b; }',
      'twice.nix': '{ a = 1; a = 2; }',
      'last.nix': '{ }'
    })
    expect(Object.keys(faults)).toEqual(['semicolon.nix', 'quote.nix', 'variable.nix', 'twice.nix'])
    expect(faults['semicolon.nix']).toMatch(/^syntax error.*\nat semicolon\.nix:3:1/)
    expect(faults['quote.nix']).toMatch(/syntax error/)
    expect(faults['variable.nix']).toMatch(/undefined variable 'b'\nat variable\.nix:1:7/)
    expect(faults['twice.nix']).toMatch(/attribute 'a' already defined at twice\.nix:1:3/)
  })
})
