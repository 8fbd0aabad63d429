import { offer, replaced } from '../findings/mend.ts'
import { nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** systemd-nspawn(1) --private-users=, and the type of the option in nixos-containers.nix. */
export const invalidPrivateUsers: Rule = {
  id: 'invalid-private-users',
  group: 'containers',
  severity: 'error',
  summary: 'privateUsers is neither no, identity or pick, nor a number that user ids can start at.',
  *check({ topology }) {
    for (const { enabled, privateUsers, name, at } of topology.having.privateUsers) {
      if (!enabled || privateUsers === undefined) continue
      const fault = typeof privateUsers === 'string' ? ofWord(privateUsers) : ofNumber(privateUsers)
      if (fault === undefined) continue
      yield {
        message: `container "${name}" cannot have privateUsers: ${JSON.stringify(privateUsers)}`,
        labels: [{ at: [...at, 'privateUsers'], text: fault.what }],
        note: fault.note,
        help: fault.help,
        ...offer(replaced([...at, 'privateUsers'], fault.meant))
      }
    }
  }
}

interface Fault {
  readonly what: string
  readonly note: string
  readonly help: string
  readonly meant?: number | undefined
}

const WORDS = ['no', 'identity', 'pick']
const LAST = 2 ** 32 - 1

const ofWord = (text: string): Fault | undefined => {
  if (WORDS.includes(text)) return undefined
  const note = 'nixos-rebuild stops: the option takes a number of 32 bits, "no", "identity" or "pick"'
  if (!/^-?[0-9]+$/.test(text))
    return { what: 'not a word that it takes', note, help: `write ${nearest(text, WORDS) ?? 'pick'}` }
  const first = Number(text)
  const fault = ofNumber(first)
  return {
    what: 'a text, not a number',
    note,
    ...(fault === undefined
      ? { help: `write it without quotes: ${first}`, meant: first }
      : { help: fault.help })
  }
}

/** The range is 65536 ids wide, and 65535 and 4294967295 are no ids (systemd, src/basic/user-util.c, uid_is_valid). */
const ofNumber = (first: number): Fault | undefined =>
  first < 0 || first > LAST || !Number.isInteger(first)
    ? {
        what: 'not a number of 32 bits',
        note: 'nixos-rebuild stops: the option takes 0 to 4294967295',
        help: 'write pick, and systemd-nspawn finds a range'
      }
    : first === 65535 || first === LAST
      ? {
          what: 'stands for "no user"',
          note: `systemd-nspawn says 'Failed to parse UID "${first}"', and the container does not start`,
          help: 'write a multiple of 65536, or pick'
        }
      : first + 65536 > LAST
        ? {
            what: `its 65536 ids go up to ${first + 65535}`,
            note: 'systemd-nspawn says "UID range cannot be empty or go beyond 4294967295.", and the container does not start',
            help: 'write a smaller multiple of 65536, or pick'
          }
        : undefined
