import { newKey } from '../server/key'

/** How far a card is: made ready here, then sent step by step. */
export type DraftState =
  | { kind: 'ready' }
  | { kind: 'uploading'; part: number }
  | { kind: 'creating' }
  | { kind: 'minting'; mint: string; image: string }
  | { kind: 'failed'; error: unknown }

/** A card that somebody is about to mint. Its keys stay the same when it is tried again, so that nothing is done twice. */
export interface Draft {
  id: string
  file: File
  name: string
  number: string
  rarity: string
  copies: string
  state: DraftState
  keys: { upload: string; card: string; mint: string }
}

export const TYPES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/avif']
export const FILE_BYTES_MAX = 10 * 1024 * 1024
export const DRAFTS_MAX = 20
export const COPIES_MAX = 1_000
const NAME_MAX = 60

/** Why a file can't be a card's picture; the server checks its content, too. */
export function fileFault(file: Pick<File, 'type' | 'size'>): 'type' | 'size' | 'empty' | undefined {
  if (!TYPES.includes(file.type)) return 'type'
  if (file.size === 0) return 'empty'
  return file.size > FILE_BYTES_MAX ? 'size' : undefined
}

/** `fire_dragon-02.final.png` → `Fire dragon 02 final`. */
export function nameOf(file: string): string {
  const words = file
    .replace(/\.[a-z0-9]{1,5}$/i, '')
    .replace(/[_\-.\s]+/g, ' ')
    .trim()
    .slice(0, NAME_MAX)
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** The code of a set that is called so: `Ocean & Öl` → `ocean-oel`. Empty where nothing of it can stand in a code. */
export function codeOf(name: string): string {
  const letters: Record<string, string> = { ä: 'ae', ö: 'oe', ü: 'ue', ß: 'ss' }
  return name
    .toLowerCase()
    .replace(/[äöüß]/g, (letter) => letters[letter] ?? '')
    .normalize('NFD')
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
    .replaceAll(' ', '-')
    .slice(0, 32)
    .replace(/-$/, '')
}

/** The next number that no card of these has. */
function nextNumber(drafts: readonly Draft[]): string {
  const taken = drafts.map(({ number }) => Number(number)).filter(Number.isInteger)
  return String(Math.max(0, ...taken) + 1)
}

/** The drafts with these files behind them, and the files that were not taken, with the reason. */
export function withFiles(drafts: readonly Draft[], files: readonly File[], rarity: string) {
  const next = [...drafts]
  const refused: { name: string; fault: 'type' | 'size' | 'empty' | 'many' }[] = []
  for (const file of files) {
    const fault = next.length >= DRAFTS_MAX ? 'many' : fileFault(file)
    if (fault) refused.push({ name: file.name, fault })
    else
      next.push({
        id: newKey(),
        file,
        name: nameOf(file.name),
        number: nextNumber(next),
        rarity,
        copies: '1',
        state: { kind: 'ready' },
        keys: { upload: newKey(), card: newKey(), mint: newKey() },
      })
  }
  return { drafts: next, refused }
}

/** Whether a change of its fields, or another try, is possible. */
export const isOpen = ({ state }: Draft): boolean => state.kind === 'ready' || state.kind === 'failed'

/** What was changed is another request: the keys of what was sent before don't fit any more. */
export const changed = (draft: Draft, fields: Partial<Draft>): Draft => ({
  ...draft,
  ...fields,
  keys: { ...draft.keys, card: newKey(), mint: newKey() },
})

export function copiesOf({ copies }: Draft): number | undefined {
  const count = /^\d{1,4}$/.test(copies.trim()) ? Number(copies) : 0
  return count >= 1 && count <= COPIES_MAX ? count : undefined
}
