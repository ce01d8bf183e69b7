import type { Copy } from '../server/rest'

/** Each word is somewhere in what the copy is called. */
export function matches(
  { name, set, number }: Pick<Copy, 'name' | 'set' | 'number'>,
  wanted: string,
): boolean {
  const words = `${name} ${set} ${number}`.toLowerCase()
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => words.includes(word))
}
