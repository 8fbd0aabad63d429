import { spawnSync } from 'node:child_process'

// Python's ipaddress is an oracle that shares nothing with what is written in JavaScript: another language, other people.

const LIMIT = 40_000

const run = (
  script: string,
  input = ''
): { readonly status: number | null; readonly stdout: string; readonly fault: string } => {
  const { status, stdout, stderr, error } = spawnSync('python3', ['-I', '-c', script], {
    encoding: 'utf8',
    input,
    timeout: LIMIT,
    maxBuffer: 1 << 27
  })
  return { status, stdout, fault: error?.message ?? stderr }
}

/** Before 3.10 a /32 had no hosts, and before 3.9.5 octets could have leading zeros. */
const RECENT = 'import ipaddress, sys; sys.exit(sys.version_info < (3, 10) and 3)'

/**
 * Whether python cannot be asked on this machine, as `test.skipIf` wants it; the reason is printed. Never true in CI, where
 * it must be: the tests fail there.
 */
export const noPython = (): boolean => {
  if ((process.env['CI'] ?? '') !== '') return false
  const { status } = run(RECENT)
  if (status === 0) return false
  const reason = status === 3 ? 'python3 is older than 3.10' : 'python3 is not installed, or not as a whole'
  process.stderr.write(`oracles: tests are skipped, ${reason}\n`)
  return true
}

/** Each kind of question has a function of its arguments that gives the answer; all of it is texts and lists of texts. */
const ANSWERS = `
import ipaddress, itertools, json, sys
from ipaddress import ip_address, ip_network, collapse_addresses, summarize_address_range

def network(text):
    return ip_network(text, strict=False)

def texts(items):
    return [str(item) for item in items]

def address(text):
    try:
        return str(int(ip_address(text)))
    except ValueError:
        return None

def written(text):
    return str(ip_address(text))

def prefix(text):
    net = network(text)
    answer = [net[0], net[-1], net.num_addresses, next(iter(net.hosts()))]
    if net.num_addresses <= 1024:
        hosts = list(net.hosts())
        answer += [hosts[-1], len(hosts)]
    return texts(answer)

def pair(a, b, addr):
    a, b, addr = network(a), network(b), ip_address(addr)
    same = a.version == b.version
    return [a.overlaps(b), same and a.subnet_of(b), same and b.subnet_of(a), addr in a, addr in b]

def without(pool, taken):
    left = [network(pool)]
    for gone in map(network, taken):
        rest = []
        for net in left:
            if not net.overlaps(gone):
                rest.append(net)
            elif not net.subnet_of(gone):
                rest += net.address_exclude(gone)
        left = rest
    return texts(sorted(collapse_addresses(left)))

def collapsed(prefixes):
    return texts(collapse_addresses(map(network, prefixes)))

def summarized(low, high):
    return texts(summarize_address_range(ip_address(low), ip_address(high)))

def around(prefixes):
    nets = [network(text) for text in prefixes]
    wide = nets[0]
    while not all(net.subnet_of(wide) for net in nets):
        wide = wide.supernet()
    return str(wide)

def subnets(pool, bits, limit):
    return texts(itertools.islice(network(pool).subnets(new_prefix=bits), limit))

def hosts(net, taken):
    taken = [network(text) for text in taken]
    return texts(host for host in network(net).hosts() if not any(host in gone for gone in taken))

asked = json.load(sys.stdin)
json.dump({kind: [globals()[kind](*args) for args in asked[kind]] for kind in asked}, sys.stdout)
`

/** The answers to all questions, by kind and in their order, from one process. */
export const python = <K extends string>(
  questions: Readonly<Record<K, readonly (readonly unknown[])[]>>
): Readonly<Record<K, readonly unknown[]>> => {
  const { status, stdout, fault } = run(ANSWERS, JSON.stringify(questions))
  if (status !== 0) throw new Error(`python: ${fault}`)
  return JSON.parse(stdout)
}
