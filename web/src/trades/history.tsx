import { rest } from '../server/rest'
import { moment, text } from '../text/text'
import { useLoaded } from '../ui/loaded'
import { amountText } from './actions'
import { amountOf, type Leg, nameIn, sidesOf, type TradeState } from './negotiation'

const SHOWN_MAX = 100

/** All offers that were made, the newest first; nothing where there was only one. */
export function History({ trade, me }: { trade: TradeState; me: string }) {
  const versions = useLoaded(
    (signal) =>
      rest('get', '/trades/{trade}/versions', {
        path: { trade: trade.id },
        query: { limit: SHOWN_MAX },
        signal,
      }),
    [trade.id, trade.version],
  )
  const offers = versions.value?.items ?? []
  if (offers.length < 2) return null
  return (
    <details className="panel history">
      <summary>{text.trades.history}</summary>
      <ol className="offers">
        {[...offers].reverse().map(({ version, by, at, legs, message }) => {
          const { gives, gets } = sidesOf(legs as unknown as Leg[], me)
          return (
            <li key={version}>
              <strong>{text.trades.historyBy(version, nameIn(trade, by))}</strong>{' '}
              <span className="muted small">{moment(at)}</span>
              <p>
                {text.trades.confirmGive(amountText(amountOf(gives)))}{' '}
                {text.trades.confirmGet(amountText(amountOf(gets)))}
              </p>
              {message && <p className="muted">{text.trades.quoted(message)}</p>}
            </li>
          )
        })}
      </ol>
    </details>
  )
}
