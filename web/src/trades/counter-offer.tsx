import { rest } from '../server/rest'
import { text } from '../text/text'
import { toast } from '../ui/toast'
import { Compose } from './compose'
import { type Leg, othersIn, type Side, sidesOf, type TradeState } from './negotiation'

interface Props {
  trade: TradeState
  me: string
  onClose: () => void
}

const sideOf = (legs: readonly Leg[]): Side => ({
  copies: legs.flatMap((leg) => leg.copies ?? []),
  money: legs.reduce((sum, leg) => sum + (leg.money ?? 0), 0),
})

/** The offer as it is, to be changed, between two users. */
export function CounterOffer({ trade, me, onClose }: Props) {
  const other = othersIn(trade, me)[0]
  if (!other) return null
  const { gives, gets } = sidesOf(trade.legs, me)
  return (
    <section className="compose-box">
      <h2>{text.compose.counterTitle}</h2>
      <Compose
        me={me}
        other={other}
        gives={sideOf(gives)}
        gets={sideOf(gets)}
        submit={text.compose.sendCounter}
        onCancel={onClose}
        send={async ({ legs, message, key }) => {
          await rest('post', '/trades/{trade}/counter', {
            path: { trade: trade.id },
            key,
            body: { version: trade.version, legs, message },
          })
          toast(text.compose.countered)
          onClose()
        }}
      />
    </section>
  )
}
