const NAME_PART = /^[A-Za-z0-9_-]{2,30}$/

/** What to search users for; undefined where no name can begin so, or the text is too short for a search. */
export function namePart(typed: string): string | undefined {
  const part = typed.trim().replace(/^@/, '')
  return NAME_PART.test(part) ? part : undefined
}
