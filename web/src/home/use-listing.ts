import { useCallback, useEffect, useState } from 'react'
import { type AuctionPage, type ListedAuction, rest } from '../server/rest'

export type Sort = 'ending' | 'newest'

export interface Listing {
  auctions: ListedAuction[] | undefined
  more: boolean
  error: unknown
  showMore: () => void
  again: () => void
}

const PAGE = 24
const SHOWN_MAX = 96
const REFRESH_MS = 10_000

/** The open auctions, `first` of them to begin with, asked for again every ten seconds while someone looks. */
export function useListing(sort: Sort, first = PAGE): Listing {
  const [shown, setShown] = useState(first)
  const [page, setPage] = useState<AuctionPage | undefined>()
  const [error, setError] = useState<unknown>()
  const [asked, setAsked] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: `asked` is what asks again
  useEffect(() => {
    const stop = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    const load = async () => {
      if (!document.hidden) {
        try {
          setPage(
            await rest('get', '/auctions', {
              query: { status: 'open', sort, limit: shown },
              signal: stop.signal,
            }),
          )
          setError(undefined)
        } catch (problem) {
          if (stop.signal.aborted) return
          setError(problem)
        }
      }
      timer = setTimeout(load, REFRESH_MS)
    }
    void load()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [sort, shown, asked])

  const showMore = useCallback(() => setShown((count) => Math.min(count + PAGE, SHOWN_MAX)), [])
  const again = useCallback(() => setAsked((count) => count + 1), [])
  return {
    auctions: page?.items,
    more: page?.next_cursor != null && shown < SHOWN_MAX,
    error: page ? undefined : error,
    showMore,
    again,
  }
}
