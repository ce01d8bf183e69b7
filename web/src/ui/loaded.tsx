import { type DependencyList, type ReactNode, useCallback, useEffect, useState } from 'react'
import { Failed, Skeleton } from './notices'

export interface Loaded<T> {
  value: T | undefined
  error: unknown
  again: () => void
  /** Until it is asked for again, this is what there is. */
  set: (value: T) => void
}

/** What the server says, asked for when `about` changes or `again` is called. The old answer stays meanwhile. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, about: DependencyList): Loaded<T> {
  const [value, set] = useState<T>()
  const [error, setError] = useState<unknown>()
  const [asked, setAsked] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the caller names them
  useEffect(() => {
    const stop = new AbortController()
    load(stop.signal)
      .then((found) => {
        set(found)
        setError(undefined)
      })
      .catch((problem: unknown) => stop.signal.aborted || setError(problem))
    return () => stop.abort()
  }, [asked, ...about])
  const again = useCallback(() => setAsked((count) => count + 1), [])
  return { value, error, again, set }
}

/** A skeleton until it is there, and a way to try again where it failed. */
export function Shown<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ReactNode }) {
  if (of.value !== undefined) return children(of.value)
  return of.error === undefined ? <Skeleton /> : <Failed error={of.error} again={of.again} />
}
