import { ini } from '../emit/print/ini.ts'
import { FAMILIES } from '../plan/plan.ts'
import { commandText, restoreText, type Ruleset } from './rules.ts'
import type { Awaited, OnBehalf, Script, Service, Space, Sysctl } from './script.ts'

// The commands of a rehearsal as one POSIX shell script. It runs as the second process of fresh namespaces, with a /run of its
// own, and prints what does not work:
//
//     failed SPACE SERVICE    a service of a namespace (`-` is the host's) has failed
//     said SPACE TEXT         what the program said
//     gone SPACE              a container does not start
//     missing NAME WHAT       networkd has not set the address, or the default route
//     ready                   everything is there
//     log TEXT                a line of networkd

/** What the script needs besides what the plan says. */
export interface Programs {
  /** Where systemd-networkd is; undefined where it is not needed. */
  readonly networkd: string | undefined
  /** The command that runs the prober's text, and what it is told; undefined to leave it out. */
  readonly prober:
    | {
        readonly command: readonly string[]
        readonly arguments: readonly string[]
        readonly text: string
        /** Whether it can ping, and sees who refuses. */
        readonly pings: boolean
      }
    | undefined
}

const HERE = '/run/netplan'

/** Text as a here-document. What has the mark as a line of its own would be a fault of this program. */
const here = (command: string, mark: string, lines: readonly string[]): string => {
  const text = lines.map(line => (line.endsWith('\n') ? line : `${line}\n`)).join('')
  if (text.split('\n').includes(mark)) throw new Error(`a line of a script is its own end: ${mark}`)
  return `${command} <<'${mark}'\n${text}${mark}\n`
}

const FUNCTIONS = `say() { printf '%s\\n' "$*"; }
tell() { printf '%s\\n' "$2" | while IFS= read -r line; do [ -z "$line" ] || say said "$1" "$line"; done; }
put() { for file in /proc/sys/net/$1; do [ ! -w "$file" ] || echo "$2" >"$file"; done 2>/dev/null; }
# Commands of ip, up to the first that fails; with -force all of them.
run() {
  service=$1
  shift
  said=$(ip "$@" -batch - 2>&1) && return
  say failed "$space" "$service"
  tell "$space" "$said"
  return 1
}
# Rules from the files of one set. The fast way knows all or nothing; where it fails, firewall-start is what happens.
guard() {
  set="/run/netplan/$1"
  if [ -e "$set.nft" ]; then
    said=$(nft -f "$set.nft" 2>&1) && return
    say failed "$space" nftables
    tell "$space" "$said"
    return
  fi
  said=$({ iptables-restore -w <"$set.4" && { [ ! -e "$set.6" ] || ip6tables-restore -w <"$set.6"; }; } 2>&1) && return
  for tool in iptables ip6tables; do
    for table in mangle nat filter; do $tool -w -t $table -F && $tool -w -t $table -X; done
  done 2>/dev/null
  said=$(sh -e "$set.sh" 2>&1)
  say failed "$space" firewall
  tell "$space" "$said"
}
`

/** On behalf of containers: each part begins with a comment that names the namespace. */
const BEHALF = `behalf() {
  said=$(ip -force -batch "$1" 2>&1) && return
  printf '%s\\n' "$said" | while IFS= read -r line; do
    case $line in
      'Command failed '*)
        name=$(sed -n "1,\${line##*:}p" "$1" | sed -n 's/^# //p' | tail -n 1)
        [ -e "${HERE}/gone/$name" ] || { say gone "$name"; tell "$name" "$reason"; tell "$name" "$line"; }
        echo >"${HERE}/gone/$name" ;;
      *) reason=$line ;;
    esac
  done
  bury
}
# What does not start has no interfaces either.
bury() {
  for name in "${HERE}"/gone/*; do
    [ -e "$name" ] || continue
    name=\${name##*/}
    for link in $(ip -n "$name" -o link | sed -n 's/^[0-9]*: \\([^:@]*\\)[:@].*/\\1/p'); do
      [ "$link" = lo ] || ip -n "$name" link del "$link" 2>/dev/null
    done
  done
}
`

/** The whole of it. */
export const shellText = (script: Script, programs: Programs): string => {
  const { host, spaces, cards, units, attach, ends, late, strangers, forwards, bridges, awaited } = script
  const rules = ruleFiles([host, ...spaces])
  const guard = rules.get(host)
  const networkd = units === undefined ? undefined : programs.networkd
  return [
    `mkdir -p ${HERE}/gone /run/netns\n`,
    here(`cat >${HERE}/functions`, 'FUNCTIONS', [FUNCTIONS]),
    `. ${HERE}/functions\nspace=-\njobs=\n${BEHALF}`,
    programs.prober === undefined
      ? ''
      : here(`cat >${HERE}/prober`, 'PROBER', [programs.prober.text.trim()]) +
        `(ulimit -n "$(ulimit -H -n)"; exec ${programs.prober.command.map(quoted).join(' ')} ${HERE}/prober ${programs.prober.arguments.join(' ')}) <&4 &\nprober=$!\n`,
    'exec 4<&-\n',
    ...[...rules.values()].flatMap(({ files }) =>
      files.map(([file, text]) => here(`cat >${HERE}/${file}`, 'RULES', [text]))
    ),
    ...tune(host.sysctls.filter(entry => !isOfOne(entry))),
    run('init', host.init, false),
    strangers === undefined
      ? ''
      : here(`cat >${HERE}/strangers.nft`, 'RULES', [strangers]) + 'guard strangers &\njobs="$jobs $!"\n',
    guard === undefined ? '' : `guard ${guard.stem} &\njobs="$jobs $!"\n`,
    run(
      'namespaces',
      spaces.map(({ name }) => `netns add ${name}`),
      false
    ),
    run('cards', cards, true),
    // As on a real machine, which has its cards before it makes anything.
    networkd === undefined ? '' : networkdText(script, networkd),
    ...host.services.map(service),
    networkd === undefined || bridges.length === 0
      ? ''
      : until(
          'devices=$(cat /proc/net/dev)',
          bridges.map(name => includes('devices', `*' ${name}:'* | *'\n${name}:'*`))
        ),
    'say phase attach\n',
    onBehalf('attach', attach),
    'say phase inside\n',
    ...spaces.map(space => inside(space, rules.get(space)?.stem)),
    '[ -z "$jobs" ] || wait $jobs\n',
    'say phase ends\nbury\n',
    onBehalf('ends', ends),
    forwards === undefined ? '' : here(`cat >${HERE}/nspawn.nft`, 'RULES', [forwards]) + 'guard nspawn\n',
    'say phase late\n',
    awaited.length === 0
      ? ''
      : until(
          'addresses=$(ip -o addr; ip route; ip -6 route)',
          awaited.map(entry => includes('addresses', awaitedPattern(entry)))
        ),
    ...awaited.map(
      entry =>
        `${includes('addresses', awaitedPattern(entry))} || { say missing ${entry.ifname} ${entry.what}; tell ${entry.ifname} "$(ip -o link show dev ${entry.ifname})"; }\n`
    ),
    ...tune(host.sysctls.filter(isOfOne)),
    ...late.map(service),
    'say ready\n',
    programs.prober === undefined ? '' : 'wait $prober\n',
    networkd === undefined ? '' : `while IFS= read -r line; do say log "$line"; done <${HERE}/networkd.log\n`,
    'say end\n'
  ].join('')
}

/** A path of this machine as a word of the shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** What a line of `ip -batch` means: the command itself for `Command failed -:4`. */
export const failedCommand = (
  { host, spaces, cards, attach, ends, late }: Script,
  name: string,
  what: string,
  line: string
): string | undefined => {
  const [, file = '', number = ''] = /^Command failed (\S+):(\d+)$/.exec(line) ?? []
  const at = (commands: readonly string[]): string | undefined => {
    const command = commands[Number(number) - 1]
    return command === undefined || command.startsWith('#') ? undefined : `ip ${command}`
  }
  if (file === `${HERE}/attach`) return at(behalfLines(attach))
  if (file === `${HERE}/ends`) return at(behalfLines(ends))
  if (file !== '-') return undefined
  const space = spaces.find(other => other.name === name) ?? host
  if (space === host && what === 'cards') return at(cards)
  const own = [...space.services, ...(space === host ? late : [])].find(service => service.name === what)
  return at(own?.commands ?? space.init)
}

/** Whether it is of one interface: systemd sets it when that appears (99-systemd.rules). */
const isOfOne = ([path]: Sysctl): boolean => /^ipv[46]\/conf\/(?!(?:all|default|\*)\/)/.test(path)

const tune = (sysctls: readonly Sysctl[]): readonly string[] =>
  sysctls.map(([path, value]) => `put '${path}' ${value}\n`)

const run = (name: string, commands: readonly string[], goesOn: boolean): string =>
  commands.length === 0 ? '' : here(`run ${name}${goesOn ? ' -force' : ''}`, 'IP', commands)

const service = ({ name, commands, goesOn }: Service): string => run(name, commands, goesOn)

const onBehalf = (file: string, entries: readonly OnBehalf[]): string =>
  entries.length === 0
    ? ''
    : here(`cat >${HERE}/${file}`, 'IP', behalfLines(entries)) + `behalf ${HERE}/${file}\n`

const behalfLines = (entries: readonly OnBehalf[]): readonly string[] =>
  entries.flatMap(({ space, commands }) => [`# ${space}`, ...commands])

/** What is done in a namespace, all at the same time. */
const inside = (space: Space, stem: string | undefined): string => {
  const { name, init, services } = space
  const lines = [
    `. ${HERE}/functions\nspace=${name}\n`,
    ...tune(space.sysctls),
    init.length === 0
      ? ''
      : `${run('init', init, false)}[ $? = 0 ] || { say gone $space; tell $space "$said"; echo >${HERE}/gone/$space; exit; }\n`,
    ...services.map(service),
    stem === undefined ? '' : `guard ${stem}\n`
  ].filter(line => line !== '')
  return `[ -e ${HERE}/gone/${name} ] || {\n${here(`nsenter --net=/run/netns/${name} sh`, 'SPACE', lines)}} &\njobs="$jobs $!"\n`
}

/** A test whether a variable's value has a pattern in it. */
const includes = (variable: string, pattern: string): string =>
  `case $${variable} in ${pattern}) ;; *) false ;; esac`

/** An address in a line of `ip -o addr`, or a route in one of `ip route`. */
const awaitedPattern = ({ ifname, what }: Awaited): string =>
  what.startsWith('default')
    ? `*'${what} dev ${ifname} '*`
    : `*' ${ifname}    ${what.includes(':') ? 'inet6' : 'inet'} ${what} '*`

/** Asks again until all tests are true, for at most two seconds. */
const until = (look: string, tests: readonly string[]): string =>
  `tries=0\nuntil ${look}\n${tests.map(test => `  ${test}`).join(' &&\n')}\ndo\n  tries=$((tries + 1))\n  [ $tries -le 120 ] || break\n  sleep 0.01\ndone\n`

interface RuleFiles {
  readonly stem: string
  readonly files: readonly (readonly [file: string, text: string])[]
}

/** Each set of rules once, though many may have the same. */
const ruleFiles = (spaces: readonly Space[]): ReadonlyMap<Space, RuleFiles> => {
  const stems = new Map<string, string>()
  const found = new Map<Space, RuleFiles>()
  for (const space of spaces) {
    if (space.rules === undefined) continue
    const key = JSON.stringify(space.rules)
    const known = stems.get(key)
    const stem = known ?? `rules-${stems.size}`
    stems.set(key, stem)
    // Only its first owner writes the files.
    found.set(space, { stem, files: known === undefined ? filesOf(stem, space.rules) : [] })
  }
  return found
}

const filesOf = (stem: string, rules: Ruleset): RuleFiles['files'] =>
  rules.backend === 'nftables'
    ? [[`${stem}.nft`, rules.text]]
    : [
        ...FAMILIES.flatMap(family => {
          const text = restoreText(rules.rules, family)
          return text === '' ? [] : [[`${stem}.${family}`, text] as const]
        }),
        [`${stem}.sh`, commandText(rules.rules)]
      ]

/**
 * networkd by itself: a sysfs that cannot be written, so that it does not wait for udev; a machine-id, without which it makes
 * no addresses; and none of this machine's own files.
 */
const networkdText = ({ units, vendor }: Script, program: string): string => {
  const shipped = [
    ...new Set([program.replace(/\/[^/]*$/, '/network'), '/usr/lib/systemd/network', '/lib/systemd/network'])
  ]
  const hidden = [
    '/etc/systemd/network',
    '/etc/systemd/networkd.conf.d',
    '/usr/local/lib/systemd/network',
    ...(vendor ? [] : shipped)
  ]
  return [
    `mkdir -p ${HERE}/empty /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp\n`,
    'mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys 2>/dev/null || { mount --rbind /sys /sys; mount -o remount,bind,ro /sys; }\n',
    `echo 6e6574706c616e20726568656172736c >${HERE}/machine-id\n`,
    `[ ! -e /etc/machine-id ] || mount --bind ${HERE}/machine-id /etc/machine-id\n`,
    '[ ! -e /etc/systemd/networkd.conf ] || mount --bind /dev/null /etc/systemd/networkd.conf\n',
    `for folder in ${hidden.join(' ')}; do\n  [ ! -d $folder ] || mount --bind ${HERE}/empty $folder\ndone\n`,
    ...(units ?? []).map(({ file, sections }) =>
      here(`cat >/run/systemd/network/${file}`, 'UNIT', [ini(sections)])
    ),
    `env -i SYSTEMD_LOG_LEVEL=info SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0 ${program} >/dev/null 2>${HERE}/networkd.log &\n`
  ].join('')
}
