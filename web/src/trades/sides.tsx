import { CopyTile } from '../card/copy-tile'
import { useCopies } from '../card/use-copies'
import type { Schema } from '../server/rest'
import { money, percent, text } from '../text/text'
import type { Loaded } from '../ui/loaded'
import { type Leg, nameIn, sidesOf, type TradeState } from './negotiation'

type Value = Schema<'TradeValue'>

/** What everybody gives, with what it is worth. */
export function Sides({ trade, me, value }: { trade: TradeState; me: string; value: Loaded<Value> }) {
  const { gives, gets, others } = sidesOf(trade.legs, me)
  const mine = value.value?.parties.find(({ user }) => user === me)
  const several = trade.parties.length > 2
  // What it is worth matters while one can still refuse it.
  const undecided = trade.status === 'open' || trade.status === 'agreed'
  const paid = trade.legs.some((leg) => (leg.money ?? 0) > 0)
  return (
    <section className="sides" aria-label={text.trades.worth}>
      <SidePanel
        title={text.trades.giveTitle}
        legs={gives}
        value={mine?.gives}
        prices={value.value?.copies}
        {...(several && { whom: (leg) => text.trades.to(nameIn(trade, leg.receiver)) })}
      />
      <SidePanel
        title={text.trades.getTitle}
        legs={gets}
        value={mine?.gets}
        prices={value.value?.copies}
        {...(several && { whom: (leg) => text.trades.from(nameIn(trade, leg.giver)) })}
      />
      {others.map((leg) => (
        <SidePanel
          key={`${leg.giver} ${leg.receiver}`}
          title={text.trades.otherTitle(nameIn(trade, leg.giver), nameIn(trade, leg.receiver))}
          legs={[leg]}
          value={undefined}
          prices={value.value?.copies}
        />
      ))}
      {mine && undecided && <Comparison gives={mine.gives} gets={mine.gets} />}
      {paid && trade.fee_bp > 0 && (
        <p className="muted small sides-note">{text.trades.fee(percent(trade.fee_bp))}</p>
      )}
    </section>
  )
}

interface PanelProps {
  title: string
  legs: readonly Leg[]
  value: Schema<'SideValue'> | undefined
  prices: Value['copies'] | undefined
  whom?: (leg: Leg) => string
}

function SidePanel({ title, legs, value, prices, whom }: PanelProps) {
  return (
    <div className="panel side">
      <h2>{title}</h2>
      {legs.length === 0 && <p className="muted">{text.trades.nothing}</p>}
      {legs.map((leg) => (
        <LegContent key={`${leg.giver} ${leg.receiver}`} leg={leg} prices={prices} whom={whom?.(leg)} />
      ))}
      <SideTotal of={value} />
    </div>
  )
}

/** What a side is worth in all; nothing until that is known. */
export function SideTotal({ of }: { of: Schema<'SideValue'> | undefined }) {
  if (!of) return null
  return (
    <p className="side-total">
      <span className="label">{text.trades.worth}</span>
      {(of.total > 0 || of.unvalued === 0) && <span className="number price">{money(of.total)}</span>}
      {of.unvalued > 0 && <span className="muted small">{text.trades.unvalued(of.unvalued)}</span>}
    </p>
  )
}

function LegContent({
  leg,
  prices,
  whom,
}: {
  leg: Leg
  prices: Value['copies'] | undefined
  whom: string | undefined
}) {
  const ids = leg.copies ?? []
  const copies = useCopies(ids)
  const priceOf = (id: string) => prices?.find(({ copy }) => copy === id)?.value
  return (
    <>
      {whom && <p className="label">{whom}</p>}
      <ul className="copies">
        {ids.map((id) => {
          const price = priceOf(id)
          return (
            <li key={id}>
              <CopyTile copy={copies.get(id)}>
                {price !== undefined && <span className="number small">≈ {money(price)}</span>}
              </CopyTile>
            </li>
          )
        })}
        {(leg.conditions ?? []).map((condition) => (
          <li key={JSON.stringify(condition)} className="condition">
            {text.trades.condition(conditionText(condition))}
          </li>
        ))}
      </ul>
      {(leg.money ?? 0) > 0 && <p className="side-money number">{money(leg.money ?? 0)}</p>}
    </>
  )
}

type Condition = NonNullable<Leg['conditions']>[number]

export function conditionText({ card, set, rarity }: Condition): string {
  const parts = [
    card && text.trades.conditionCard(card),
    set && text.trades.conditionSet,
    rarity && text.trades.conditionRarity(rarity),
  ].filter(Boolean)
  return parts.length > 0 ? parts.join(', ') : text.trades.anyCard
}

/** Which side is worth more, in words. */
export function Comparison({ gives, gets }: { gives: Schema<'SideValue'>; gets: Schema<'SideValue'> }) {
  const more = gets.total - gives.total
  const unknown = gives.unvalued + gets.unvalued > 0
  const say = unknown
    ? text.trades.unknownBalance
    : more === 0
      ? text.trades.even
      : more > 0
        ? text.trades.better(money(more))
        : text.trades.worse(money(-more))
  return (
    <p className="sides-note" data-side={unknown || more === 0 ? 'even' : more > 0 ? 'better' : 'worse'}>
      <strong>{say}</strong> <span className="muted small">{text.trades.worthFrom}</span>
    </p>
  )
}
