import { rest, type Schema } from '../server/rest'
import { type Answered, useAnswer } from '../server/use-answer'
import { problemText } from '../text/problems'
import { money, percent, text } from '../text/text'
import { Skeleton } from '../ui/notices'
import type { WholeLeg } from './negotiation'
import { Comparison } from './sides'

type Value = Schema<'TradeValue'>

/** What these legs are worth, by the server. */
export const useWorth = (legs: WholeLeg[]): Answered<Value> =>
  useAnswer(legs.length > 0 ? legs : undefined, (about, signal) =>
    rest('post', '/trade-values', { body: { legs: about }, signal }),
  )

/** What somebody pays, and what is taken from that before it arrives. */
export interface Payment {
  paid: number
  fee: number
  royalties: number
  /** The fee, as its share of the money. */
  share?: number
}

interface Props {
  worth: Answered<Value>
  /** Undefined: not known yet. */
  payment: Payment | undefined
  error?: unknown
  /** Something is chosen. */
  begun: boolean
  /** Why it can't be an offer. */
  wrong: string | undefined
  me: string
  name: string
  /** Whether it is oneself who pays. */
  pays: boolean
}

/** Before an offer is sent: which side is worth more, and what is taken from the money. */
export function Worth({ worth, payment, error = worth.error, begun, wrong, me, name, pays }: Props) {
  const own = worth.value?.parties.find(({ user }) => user === me)
  const waits = begun && !own && error === undefined
  return (
    <section className="panel worth" aria-live="polite" aria-busy={waits}>
      <h2>{text.compose.summary}</h2>
      {!begun && (wrong === undefined ? <p className="muted">{text.compose.summaryWait}</p> : <p>{wrong}</p>)}
      {waits && <Skeleton lines={1} />}
      {begun && error !== undefined && <p className="fault">{problemText(error)}</p>}
      {begun && own && <Comparison gives={own.gives} gets={own.gets} />}
      {begun && payment && <Sums of={payment} pays={pays} name={name} />}
    </section>
  )
}

/** Money goes one way only: who pays it, what is taken from it, and what arrives. */
function Sums({
  of: { paid, fee, royalties, share },
  pays,
  name,
}: {
  of: Payment
  pays: boolean
  name: string
}) {
  const say = text.compose
  if (paid === 0) return <p className="muted small">{say.noFee}</p>
  const lines = [
    [pays ? say.youPay : say.theyPay(name), paid],
    [say.fee(share === undefined ? undefined : percent(share)), 0 - fee],
    ...(royalties > 0 ? [[say.royalties, 0 - royalties] as const] : []),
    [pays ? say.theyGet(name) : say.youGet, paid - fee - royalties],
  ] as const
  return (
    <dl className="receipt sums">
      {lines.map(([label, amount]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd className="number">{money(amount)}</dd>
        </div>
      ))}
    </dl>
  )
}
