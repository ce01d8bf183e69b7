import { useEffect, useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { problemText } from '../text/problems'
import { moment, money, percent, text } from '../text/text'

type Shown = Schema<'ListingPreview'>

const ASKED_AFTER_MS = 300

interface Props {
  terms: Schema<'NewAuction'> | undefined
  /** They are on their way: their copies may be listed already, and nothing is asked about them. */
  sent: boolean
}

/** What the prices would bring, by the server: it splits them as it settles sales. */
export function Preview({ terms, sent }: Props) {
  const { shown, error } = usePreview(sent ? undefined : terms)
  const say = text.sell
  return (
    <section className="preview" aria-live="polite" aria-busy={terms !== undefined && !shown && !error}>
      <h2>{say.preview}</h2>
      {!terms && <p className="muted">{say.previewWait}</p>}
      {terms && error !== undefined && <p className="fault">{problemText(error)}</p>}
      {terms && !shown && error === undefined && <p className="muted">{say.checking}</p>}
      {terms && shown && error === undefined && <Outcomes of={shown} />}
    </section>
  )
}

function Outcomes({ of }: { of: Shown }) {
  const say = text.sell
  const columns = (
    [
      [say.atStart, of.starting_price],
      [say.atReserve, of.reserve_price],
      [say.atBuyNow, of.buy_now_price],
    ] as const
  ).flatMap(([name, outcome]) => (outcome === null ? [] : [{ name, outcome }]))
  const row = (label: string, name: 'price' | 'fee' | 'royalties' | 'net') => (
    <tr className={name === 'net' ? 'net' : undefined}>
      <th scope="row">{label}</th>
      {columns.map((one) => (
        <td key={one.name} className="number">
          {money(name === 'fee' || name === 'royalties' ? 0 - one.outcome[name] : one.outcome[name])}
        </td>
      ))}
    </tr>
  )
  return (
    <>
      <table>
        <thead>
          <tr>
            <td />
            {columns.map(({ name }) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {row(say.soldFor, 'price')}
          {row(say.fee(percent(of.fee_basis_points)), 'fee')}
          {row(say.royalties, 'royalties')}
          {row(say.net, 'net')}
        </tbody>
      </table>
      <p className="small muted number">{say.ends(moment(of.ends_at))}</p>
    </>
  )
}

/** The answer for the newest terms; while they are asked for, the one before stays. */
function usePreview(terms: Schema<'NewAuction'> | undefined): { shown: Shown | undefined; error: unknown } {
  const [shown, setShown] = useState<Shown>()
  const [error, setError] = useState<unknown>()
  const about = terms && JSON.stringify(terms)
  useEffect(() => {
    if (about === undefined) return
    const stop = new AbortController()
    const timer = setTimeout(() => {
      rest('post', '/auction-previews', {
        body: JSON.parse(about) as Schema<'NewAuction'>,
        signal: stop.signal,
      })
        .then((answer) => {
          setShown(answer)
          setError(undefined)
        })
        .catch((problem: unknown) => stop.signal.aborted || setError(problem))
    }, ASKED_AFTER_MS)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [about])
  return { shown, error }
}
