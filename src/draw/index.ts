import { dot } from './dot.ts'
import { MARK } from './labels.ts'
import { mermaid } from './mermaid.ts'
import type { Picture } from './picture.ts'
import { svg } from './svg.ts'

/** Every format that a picture is printed in. */
export const PRINTERS: Readonly<Record<PictureFormat, (picture: Picture) => string>> = { svg, mermaid, dot }

export type PictureFormat = 'svg' | 'mermaid' | 'dot'

/** Whether a text begins as our pictures do. */
export const isPicture = (text: string): boolean => text.slice(0, 100).split('\n')[0]?.includes(MARK) === true
