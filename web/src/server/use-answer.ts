import { useEffect, useState } from 'react'

export interface Answered<T> {
  value: T | undefined
  error: unknown
}

const ASKED_AFTER_MS = 300
const NOTHING = { value: undefined, error: undefined }

/**
 * What the server says of something that is being put together; the last answer stays until the next one.
 * Undefined: there is nothing to ask.
 */
export function useAnswer<B, T>(
  about: B | undefined,
  ask: (about: B, signal: AbortSignal) => Promise<T>,
): Answered<T> {
  const [known, setKnown] = useState<Answered<T>>(NOTHING)
  const asked = about && JSON.stringify(about)
  // biome-ignore lint/correctness/useExhaustiveDependencies: `ask` is another function each time
  useEffect(() => {
    if (asked === undefined) return setKnown(NOTHING)
    const stop = new AbortController()
    const timer = setTimeout(() => {
      ask(JSON.parse(asked) as B, stop.signal)
        .then((value) => setKnown({ value, error: undefined }))
        .catch((error: unknown) => stop.signal.aborted || setKnown({ value: undefined, error }))
    }, ASKED_AFTER_MS)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [asked])
  return known
}
