import { type DependencyList, type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { text } from '../text/text'
import { Button } from './button'
import { Failed, Skeleton } from './notices'

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export interface Pages<T> {
  items: T[] | undefined
  error: unknown
  busy: boolean
  /** Undefined: this is all, or as much as is shown. */
  more: (() => void) | undefined
  again: () => void
  change: (items: (old: T[]) => T[]) => void
}

const ITEMS_MAX = 1_000

/** A list that the server gives page by page, by its cursors. */
export function usePages<T>(
  load: (cursor: string | null) => Promise<Page<T>>,
  about: DependencyList,
): Pages<T> {
  const [page, setPage] = useState<Page<T>>()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const turn = useRef(0)

  const ask = async (before: Page<T> | undefined) => {
    const mine = ++turn.current
    setBusy(true)
    try {
      const found = await load(before?.next_cursor ?? null)
      if (mine !== turn.current) return
      setPage({ items: [...(before?.items ?? []), ...found.items], next_cursor: found.next_cursor })
      setError(undefined)
    } catch (problem) {
      if (mine === turn.current) setError(problem)
    }
    if (mine === turn.current) setBusy(false)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: the caller says what the list is about
  useEffect(() => {
    setPage(undefined)
    void ask(undefined)
    return () => {
      turn.current++
    }
  }, [...about])

  const change = useCallback(
    (items: (old: T[]) => T[]) => setPage((old) => old && { ...old, items: items(old.items) }),
    [],
  )
  const more = page?.next_cursor && page.items.length < ITEMS_MAX ? () => void ask(page) : undefined
  return { items: page?.items, error, busy, more, again: () => void ask(page), change }
}

interface ListProps<T> {
  of: Pages<T>
  empty: ReactNode
  name: string
  children: (item: T) => ReactNode
}

/** The list, with a button for what follows. `children` draws one item, as an `li` with a key. */
export function List<T>({ of, empty, name, children }: ListProps<T>) {
  if (of.items === undefined)
    return of.error === undefined ? <Skeleton lines={5} /> : <Failed error={of.error} again={of.again} />
  if (of.items.length === 0) return empty
  return (
    <>
      <ul className="rows" aria-label={name}>
        {of.items.map(children)}
      </ul>
      {of.error !== undefined && <Failed error={of.error} again={of.again} />}
      {of.more && (
        <Button className="more" busy={of.busy} onClick={of.more}>
          {text.ui.more}
        </Button>
      )}
    </>
  )
}
