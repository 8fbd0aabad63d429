// How wide a text is, without anything that could draw it. The figures are those of DejaVu, the widest of the fonts that
// the picture asks for, in hundredths of the font's size and rounded up: in any other one a text only leaves more room.

export type Font = 'sans' | 'bold' | 'mono'

const ASCII: Readonly<Record<Exclude<Font, 'mono'>, readonly number[]>> = {
  sans: [
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    34, 34, 84, 84, 84, 54, 100, 69, 69, 70, 78, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79, 61, 79, 70, 64,
    62, 74, 69, 99, 69, 62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98,
    64, 62, 64, 64, 42, 53, 40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84
  ],
  bold: [
    35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70,
    40, 40, 84, 84, 84, 59, 100, 78, 77, 74, 84, 69, 69, 83, 84, 38, 38, 78, 64, 100, 84, 86, 74, 86, 78, 73,
    69, 82, 78, 111, 78, 73, 73, 46, 37, 46, 84, 50, 50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105,
    72, 69, 72, 72, 50, 60, 48, 72, 66, 93, 65, 66, 59, 72, 37, 72, 84
  ]
}

/** A column of a monospace font, and what other scripts and pictographs take at most. */
const COLUMN = 61
const OTHER = 105
const WIDE = 140

const charWidth = (char: string, font: Font): number => {
  const code = char.codePointAt(0) ?? 0
  if (code >= 32 && code < 127) return font === 'mono' ? COLUMN : (ASCII[font][code - 32] ?? OTHER)
  if (/\p{M}/u.test(char)) return 0
  return code >= 0x1100 && !/[\u2000-\u27ff]/.test(char) ? WIDE : OTHER
}

/** The width in pixels at a font size. */
export const widthOf = (text: string, font: Font, size: number): number => {
  let sum = 0
  for (const char of text) sum += charWidth(char, font)
  return (sum * size) / 100
}

/** The text, or as much of its beginning as has room, with an ellipsis. */
export const fitted = (text: string, font: Font, size: number, room: number): string => {
  if (widthOf(text, font, size) <= room) return text
  let left = room - widthOf('…', font, size)
  let kept = ''
  for (const char of text) {
    left -= (charWidth(char, font) * size) / 100
    if (left < 0) break
    kept += char
  }
  return `${kept.trimEnd()}…`
}

/** A text in lines of at most that width; a word that is longer than a line is cut. At most that many lines. */
export const wrapped = (
  text: string,
  font: Font,
  size: number,
  room: number,
  most: number
): readonly string[] => {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line === '' || widthOf(longer, font, size) <= room) line = longer
    else {
      lines.push(line)
      line = word
    }
  }
  lines.push(line)
  const kept = lines.length > most ? [...lines.slice(0, most - 1), lines.slice(most - 1).join(' ')] : lines
  return kept.map(kept => fitted(kept, font, size, room))
}

/** No name needs more; of a longer text nobody reads the end in a picture. */
const LONGEST = 500

/**
 * A text of the file as a picture can hold it: XML has no control characters and no halves of a pair, and marks that turn
 * the direction of writing would show an address as another one.
 */
export const visible = (text: string): string =>
  (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text).replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\ufffe\uffff]/gu,
    char => (/[\t\n\r]/.test(char) ? ' ' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  )
