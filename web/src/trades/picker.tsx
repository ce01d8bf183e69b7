import { useState } from 'react'
import { CopyTile, whichCopy } from '../card/copy-tile'
import { matches } from '../card/matches'
import { useCopies } from '../card/use-copies'
import type { Copy, Schema } from '../server/rest'
import { count, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Failed, Skeleton } from '../ui/notices'
import { type Page, usePages } from '../ui/pages'

interface Props {
  /** Whose copies they are: another one is another list. */
  about: string
  load: (cursor: string | null) => Promise<Page<Copy>>
  none: string
  /** What to say in place of a failure that is none. */
  refused: (error: unknown) => string | undefined
  chosen: readonly string[]
  choose: (copies: readonly string[]) => void
  /** What those that are chosen are worth, as far as it is known. */
  prices: Schema<'TradeValue'>['copies'] | undefined
}

const COPIES_MAX = 100

/** Copies to choose from; those that are chosen stay in sight, whatever the filter. */
export function Picker({ about, load, none, refused, chosen, choose, prices }: Props) {
  const pages = usePages(load, [about])
  const [wanted, setWanted] = useState('')
  const known = pages.items ?? []
  const elsewhere = useCopies(chosen.filter((id) => !known.some((copy) => copy.id === id)))
  const toggle = (id: string) =>
    choose(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(0, COPIES_MAX))
  // For a moment one that has just come with the list is in both.
  const all = [...new Map([...elsewhere, ...known.map((copy) => [copy.id, copy] as const)]).values()]
  const shown = all.filter((copy) => chosen.includes(copy.id) || matches(copy, wanted))
  const why = pages.error === undefined ? undefined : refused(pages.error)
  if (why !== undefined && all.length === 0) return <p className="muted">{why}</p>
  if (pages.items === undefined)
    return pages.error === undefined ? (
      <Skeleton lines={4} />
    ) : (
      <Failed error={pages.error} again={pages.again} />
    )
  if (all.length === 0) return <p className="muted">{none}</p>
  return (
    <>
      <input
        className="copy-filter"
        type="search"
        value={wanted}
        placeholder={text.compose.search}
        aria-label={text.compose.search}
        onChange={(event) => setWanted(event.target.value)}
      />
      <ul className="copies picker">
        {shown.map((copy) => (
          <li key={copy.id}>
            <label className="pick">
              <input
                type="checkbox"
                checked={chosen.includes(copy.id)}
                onChange={() => toggle(copy.id)}
                aria-label={`${copy.name} · ${whichCopy(copy)}`}
              />
              <CopyTile copy={copy}>
                <Price of={prices?.find((one) => one.copy === copy.id)?.value} />
              </CopyTile>
            </label>
          </li>
        ))}
        {shown.length === 0 && <li className="muted">{text.compose.noMatch}</li>}
        {pages.more && (
          <li>
            <Button kind="quiet" busy={pages.busy} onClick={pages.more}>
              {text.ui.more}
            </Button>
          </li>
        )}
      </ul>
      <p className="muted small number" aria-live="polite">
        {text.compose.chosen(count(chosen.length), count(all.length) + (pages.more ? '+' : ''))}
      </p>
    </>
  )
}

function Price({ of }: { of: number | undefined }) {
  return of === undefined ? null : <span className="number small">≈ {money(of)}</span>
}
