import { describe, expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import { networkFiles } from '../src/plan/networkd.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'

// What the rules of hand-written units claim, asked of systemd-networkd itself. Its words differ between releases: those
// of 252 and 257 are known.

const network = (match: string, ...lines: readonly string[]): string =>
  ['[Match]', match, '[Network]', 'LinkLocalAddressing=no', 'IPv6AcceptRA=no', ...lines].join('\n')

describe.skipIf(withoutNetworkd()).concurrent('systemd-networkd', () => {
  test('takes the file that the plan says, for each interface', async () => {
    const matches: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      '05-none': {},
      '06-typo': { Nme: 'x1' },
      '07-typo': { Nmae: 'nobody', Name: 'x1' },
      '10-long': { Name: 've-averylong*' },
      '20-all': { Name: 'a*' },
      '30-a': { Name: 'a0' },
      '40-b0-x': { Name: 'b?' },
      '40-b0': { Name: 'b0' },
      '50-c': { Name: 'c0 !c*' },
      '51-c': { Name: '[!a-b]0 [c-e]?' },
      '60-not': { Name: '!x* lo ve-* l0' },
      '90-ve': { Name: 've-*' }
    }
    const names = ['a0', 'b0', 'b1', 'c0', 'c1', 'c.1', 've-c', 've-x', 'y0', 'x1', 'x2', 'l0', 'z9']
    const altname = 've-averylongcontainername'
    const { files, log } = await askNetworkd({
      pairs: names,
      first: `ip link property add dev ve-x altname ${altname}`,
      shipped: true,
      units: Object.fromEntries(
        Object.entries(matches).map(([file, match]) => [
          `${file}.network`,
          network(
            Object.entries(match)
              .map(([key, value]) => `${key}=${value}`)
              .join('\n')
          )
        ])
      )
    })
    const plan = networkFiles(
      buildTopology({
        host: {
          networkd: {
            enable: true,
            networks: Object.fromEntries(
              Object.entries(matches).map(([file, match]) => [file, { matchConfig: match }])
            )
          }
        }
      })
    )
    const expected = names.map(name => {
      const taker = plan.taker({ name, kind: 'veth', altname: name === 've-x' ? altname : undefined })
      return [name, taker === undefined || taker === 'unknown' ? undefined : taker.file]
    })
    expect(names.map(name => [name, files[name]])).toEqual(expected)
    expect(expected.map(([, file]) => file)).toEqual(
      expect.arrayContaining(['40-b0-x.network', '10-long.network', '80-container-ve.network', undefined])
    )
    expect(log).toMatch(
      /05-none\.network: No valid settings found in the \[Match\] section[\s\S]*06-typo\.network:2: Unknown key 'Nme' in section \[Match\]/
    )
    expect(log).toMatch(/06-typo\.network: No valid settings found/)
  })

  test('says nothing of gateways that it never reaches, and gives up where the kernel refuses', async () => {
    const { states, routes, log, addresses } = await askNetworkd({
      pairs: ['a0', 'b0', 'c0', 'd0', 'e0', 'f0', 'g0', 'h0', 'i0', 'j0', 'k0'],
      seconds: 1.2,
      units: {
        'a.network': network('Name=a0', 'Address=10.1.0.5/24', 'Gateway=10.1.1.1'),
        'b.network': network('Name=b0', 'Address=10.2.0.5/32', 'Gateway=10.2.0.1'),
        'c.network': network('Name=c0', 'Address=fd12:1::5/64', 'Gateway=fd12:2::1'),
        'd.network': network('Name=d0', 'Address=10.4.0.5/24', 'Gateway=10.4.0.255'),
        'e.network': network('Name=e0', 'Address=fd12:5::5/64', 'Gateway=fd12:5::5'),
        'f.network': network('Name=f0', 'Gateway=10.6.0.1'),
        'g.network': network(
          'Name=g0',
          'Address=10.7.0.5/32',
          '[Route]\nGateway=10.7.1.1\nGatewayOnLink=yes'
        ),
        'h.network': network(
          'Name=h0',
          'Address=10.8.0.5/32',
          'Gateway=10.8.0.1',
          '[Route]\nDestination=10.8.0.1/32\nScope=link'
        ),
        'i.network': network('Name=i0', 'Gateway=10.9.0.2', '[Address]\nAddress=10.9.0.1\nPeer=10.9.0.2/32'),
        'j.network': network('Name=j0', 'Address=10.10.0.5/24', 'Gateway=10.10.0.5'),
        'k.network': network(
          'Name=k0',
          'Address=10.11.0.5/24',
          '[Route]\nGateway=10.11.0.1\nDestination=10.0.0.0/33',
          '[Route]\nGateway=10.11.0.2\nGateway=10.11.0.3\nDestination=10.12.0.0/24\nDestination=10.13.0.0/24'
        )
      }
    })
    expect(states).toMatchObject({ a0: 'configuring', b0: 'configuring', c0: 'configuring' })
    expect(states).toMatchObject({ d0: 'failed', e0: 'failed' })
    expect(log).not.toMatch(/10\.1\.1\.1|10\.2\.0\.1|fd12:2::1/)
    expect(log).toMatch(/d0: .*Nexthop has invalid gateway/)
    expect(log).toMatch(/e0: .*Gateway can not be a local address/)
    expect(routes).not.toMatch(
      /10\.1\.1\.1|10\.2\.0\.1|10\.4\.0\.255|fd12:2::1|fd12:5::5 dev|via 10\.11\.0\.1 /
    )
    for (const gateway of ['10.6.0.1', '10.7.1.1', '10.8.0.1', '10.9.0.2', '10.10.0.5'])
      expect(routes).toContain(`default via ${gateway} `)
    expect(routes).toContain('10.13.0.0/24 via 10.11.0.3 ')
    expect(routes).not.toContain('10.12.0.0')
    expect(addresses['i0']).toEqual(['10.9.0.1/32'])
  })

  test('reads addresses strictly, and keeps the last of a section', async () => {
    const { addresses, log, states } = await askNetworkd({
      pairs: ['a0', 'b0', 'c0', 'd0', 'e0', 'f0', 'g0'],
      units: {
        'a.network': network(
          'Name=a0',
          'Address=10.1.0.300/24',
          'Address=010.1.0.1/24',
          'Address=10.1/24',
          'Address=10.1.0.1/255.255.255.0',
          'Address=10.1.0.1/33',
          'Address=10.1.0.1/24 10.1.1.1/24',
          'Address=fd12::g/64',
          'Gateway=10.1.0.1/24',
          'DNS=1.1.1.1/32',
          'DNS=9.9.9.9:53#dns.quad9.net 1.1.1.1'
        ),
        'b.network': network('Name=b0', '[Address]\nAddress=10.2.0.1/24\nAddress=10.2.1.1/24'),
        'c.network': network('Name=c0', '[Address]\nAddress=10.3.0.1/24\nAddress=fd12:3::1/64'),
        'd.network': network('Name=d0', 'Address=0.0.0.0/29', 'Address=::/64'),
        'e.network': network('Name=e0', 'Address=10.5.0.1', 'Address=192.168.5.1'),
        'f.network': network('Name=f0', 'Address=::1/64'),
        'g.network': network('Name=g0', 'Address=0.0.0.0')
      }
    })
    expect(addresses).toMatchObject({ a0: [], b0: ['10.2.1.1/24'], c0: [] })
    expect(log.match(/a\.network:\d+: (?:Invalid|Failed to parse)/g)).toHaveLength(9)
    expect(log).not.toMatch(/b\.network:/)
    expect(log).toMatch(/c\.network:\d+: Address is incompatible, ignoring assignment/)
    expect(addresses['d0']).toEqual([
      expect.stringMatching(/^(?:192\.168|172\.(?:1[6-9]|2\d|3[01])|10)\..*\/29$/),
      expect.stringMatching(/^fd.*\/64$/)
    ])
    // Up to 252 by the old address classes, from 253 on a single address.
    expect([
      ['10.5.0.1/8', '192.168.5.1/24'],
      ['10.5.0.1/32', '192.168.5.1/32']
    ]).toContainEqual(addresses['e0'])
    expect(log).toMatch(/e\.network:\d+: .*10\.5\.0\.1.* specified without prefix length/)
    expect(states).toMatchObject({ f0: 'failed', g0: 'failed' })
  })

  test('takes ports out of a bridge, unless the file names it or keeps it', async () => {
    const { masters, files } = await askNetworkd({
      pairs: ['vb-a', 'vb-b', 'vb-c', 'vb-d', 'eth1'],
      shipped: true,
      first:
        'ip link add br0 type bridge; ip link set br0 up; for port in vb-a vb-b vb-c vb-d eth1; do ip link set $port master br0; done',
      units: {
        '05-keep.network': network('Name=vb-b', 'KeepMaster=yes'),
        '06-bridge.network': network('Name=vb-c', 'Bridge=br0'),
        '07-unmanaged.network': '[Match]\nName=vb-d\n[Link]\nUnmanaged=yes',
        '10-all.network': network('Name=v*'),
        '90-eth1.network': network('Name=e*', 'DHCP=yes'),
        'br0.netdev': '[NetDev]\nName=br0\nKind=bridge'
      }
    })
    expect(files).toMatchObject({ 'vb-a': '10-all.network', 'vb-b': '05-keep.network' })
    expect(masters).toMatchObject({ 'vb-a': undefined, eth1: undefined })
    expect(masters).toMatchObject({ 'vb-b': 'br0', 'vb-c': 'br0', 'vb-d': 'br0' })
  })

  test('makes an interface from the first of two files, and takes what NixOS refuses', async () => {
    const { log, said } = await askNetworkd({
      units: {
        '30-bridge.netdev': '[NetDev]\nName=br0\nKind=bridge\n[Bridge]\nForwardDelaySec=4',
        '20-br0.netdev': '[NetDev]\nName=br0\nKind=bridge\n[Bridge]\nSTP=on\nVLANProtocol=802.ad',
        '40-br1.netdev': '[NetDev]\nName=br1\nKind=Bridge',
        '41-br2.netdev': '[NetDev]\nName=br2'
      },
      after: 'cat /sys/class/net/br0/bridge/stp_state /sys/class/net/br0/bridge/forward_delay'
    })
    expect(said).toBe('1\n1500\n')
    expect(log).toMatch(/br0: Device was already configured by .*20-br0\.netdev.*ignoring.*30-bridge\.netdev/)
    expect(log).toMatch(/20-br0\.netdev:\d+: Failed to parse VLAN protocol value, ignoring: 802\.ad/)
    expect(log).toMatch(/NetDev has no Kind= configured in .*41-br2\.netdev/)
    expect(log).toMatch(/40-br1\.netdev:\d+: Failed to parse netdev kind, ignoring assignment: Bridge/)
  })
})
