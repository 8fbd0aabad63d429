import { accessSync } from 'node:fs'
import { absent, inNamespace } from './judge.ts'

// systemd-networkd as a judge: the real program on some unit files, without systemd, D-Bus or udev, on interfaces that
// are made for it. It runs as a user other than root, so that it does not look for one to become.

const PROGRAM = ['/usr/lib', '/lib', '/run/current-system/systemd/lib']
  .map(folder => `${folder}/systemd/systemd-networkd`)
  .find(path => {
    try {
      accessSync(path)
      return true
    } catch {
      return false
    }
  })

let told = false

/** Whether networkd cannot be asked here; the reason is printed once. Never true in CI. */
export const withoutNetworkd = (): boolean => {
  if (absent(['ip', 'unshare', 'mount'])) return true
  if (PROGRAM !== undefined || (process.env['CI'] ?? '') !== '') return false
  if (!told) process.stderr.write('judges: tests are skipped, systemd-networkd is not installed\n')
  told = true
  return true
}

export interface Question {
  /** Unit files by name, as /etc/systemd/network has them. */
  readonly units: Readonly<Record<string, string>>
  /** Pairs of interfaces: one end is here and up, the other is up in a namespace of its own. */
  readonly pairs?: readonly string[]
  /** bash before networkd starts. */
  readonly first?: string
  /** bash when networkd has done its work. */
  readonly after?: string
  /** Whether systemd's own files are there. Default: false. */
  readonly shipped?: boolean
  readonly seconds?: number
}

export interface Verdict {
  /** Its log, without the lines that every run has. */
  readonly log: string
  /** The addresses of each interface as address/bits, without link-local ones. */
  readonly addresses: Readonly<Record<string, readonly string[]>>
  /** The file that each interface is configured by. */
  readonly files: Readonly<Record<string, string | undefined>>
  /** What networkctl calls the state: configured, configuring, unmanaged … */
  readonly states: Readonly<Record<string, string | undefined>>
  readonly masters: Readonly<Record<string, string | undefined>>
  /** The routes of both families, as `ip route` prints them. */
  readonly routes: string
  /** What `after` printed. */
  readonly said: string
}

const NOISE = /receive buffer size|wireless LAN|get driver|lease lost|cgroup path|network filesystem/

const INSIDE = ['--user', '--map-user=1', '--map-group=1', '--keep-caps', '--net', '--mount', '--pid'].concat(
  ['--fork', '--kill-child', '--mount-proc']
)

/** The units in one run of networkd, which takes about as many seconds as are given. */
export const askNetworkd = async (question: Question): Promise<Verdict> => {
  const { units, pairs = [], first = '', after = '', shipped = false, seconds = 0.8 } = question
  const script = [
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'mkdir -p /run/netns /run/empty /run/systemd/network /run/systemd/netif/{links,leases,lldp}',
    // networkd does not wait for udev where sysfs cannot be written.
    'mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys 2>/dev/null || { mount --rbind /sys /sys; mount -o remount,bind,ro /sys; }',
    // Without a machine-id it makes no MAC addresses.
    'echo 0123456789abcdef0123456789abcdef > /run/id; mount --bind /run/id /etc/machine-id',
    `for folder in /etc/systemd/network${shipped ? '' : ' /usr/lib/systemd/network /lib/systemd/network'} /usr/local/lib/systemd/network; do [ ! -d $folder ] || mount --bind /run/empty $folder; done`,
    '[ ! -e /etc/systemd/networkd.conf ] || mount --bind /dev/null /etc/systemd/networkd.conf',
    'ip link set lo up; ip netns add far',
    // Two ends with one index would be seen only after a second (the kernel's link watch).
    ...pairs.map(
      (name, i) =>
        `ip link add ${name} index ${100 + i} type veth peer name far${i} index ${500 + i} netns far; ip link set ${name} up; ip -n far link set far${i} up`
    ),
    first,
    ...Object.entries(units).map(
      ([file, text]) => `cat > '/run/systemd/network/${file}' <<'END'\n${text.trim()}\nEND`
    ),
    `env -i SYSTEMD_LOG_LEVEL=info SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0 ${PROGRAM} 2>/run/log &`,
    `sleep ${seconds}`,
    `(\n:\n${after}\n) > /run/said 2>&1`,
    'echo; echo "=== log"; cat /run/log; echo "=== said"; cat /run/said; echo "=== links"; ip -j addr',
    'echo; echo "=== files"; for link in /run/systemd/netif/links/*; do echo "INDEX=${link##*/}"; cat $link; done',
    'echo "=== routes"; ip route; ip -6 route'
  ].join('\n')
  const { text } = await inNamespace(`unshare ${INSIDE.join(' ')} bash -s <<'NETWORKD'\n${script}\nNETWORKD`)
  return read(text)
}

interface IpLink {
  readonly ifindex: number
  readonly ifname: string
  readonly master?: string
  readonly addr_info: readonly {
    readonly local?: string
    readonly prefixlen: number
    readonly scope: string
  }[]
}

const read = (text: string): Verdict => {
  const part = (name: string): string => {
    const found = new RegExp(`^=== ${name}\\n([\\s\\S]*?)(?=^=== |(?![\\s\\S]))`, 'm').exec(text)
    if (found?.[1] === undefined) throw new Error(`networkd did not run:\n${text}`)
    return found[1]
  }
  // `ip -j` prints this.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const links = JSON.parse(part('links')) as readonly IpLink[]
  const states = new Map(
    part('files')
      .split(/^INDEX=/m)
      .map(state => [Number.parseInt(state, 10), state])
  )
  const ofEach = <T>(value: (link: IpLink) => T): Record<string, T> =>
    Object.fromEntries(links.map(link => [link.ifname, value(link)]))
  const field = ({ ifindex }: IpLink, name: string): string | undefined =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(states.get(ifindex) ?? '')?.[1]
  return {
    log: part('log')
      .split('\n')
      .filter(line => !NOISE.test(line))
      .map(line => line.replaceAll('/run/systemd/network/', ''))
      .join('\n'),
    addresses: ofEach(({ addr_info }) =>
      addr_info
        .filter(({ scope, local }) => scope === 'global' && local !== undefined)
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    ),
    files: ofEach(link => field(link, 'NETWORK_FILE')?.replace(/.*\//, '')),
    states: ofEach(link => field(link, 'ADMIN_STATE')),
    masters: ofEach(({ master }) => master),
    routes: part('routes'),
    said: part('said')
  }
}
