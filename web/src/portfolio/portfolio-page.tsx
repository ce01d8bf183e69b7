import '../styles/account.css'
import '../styles/portfolio.css'
import { rest, type Schema } from '../server/rest'
import { Link } from '../shell/link'
import { count, moment, money, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { Copies } from './copies'
import { History } from './history'
import { Sales } from './sales'

type Whole = Schema<'Portfolio'>

export default function PortfolioPage() {
  const whole = useLoaded((signal) => rest('get', '/users/me/portfolio', { signal }), [])
  return (
    <div className="portfolio">
      <h1>{text.portfolio.title}</h1>
      <Shown of={whole}>
        {(found) => (
          <>
            <Totals of={found} />
            {found.copies > 0 && <History />}
            <Copies />
            {found.top.length > 0 && <Top of={found.top} />}
            <Sales />
          </>
        )}
      </Shown>
    </div>
  )
}

function Totals({ of }: { of: Whole }) {
  const all = count(of.copies)
  const t = text.portfolio
  const figures = [
    [t.value, money(of.value), t.valueAbout(count(of.copies_valued), all)],
    [t.cost, money(of.cost), t.costAbout(of.copies_paid_for)],
    [t.unrealised, signed(of.unrealised), t.unrealisedAbout],
    [t.realised, signed(of.realised), t.realisedAbout],
    [t.floor, money(of.floor_value), t.floorAbout(count(of.copies_with_floor), all)],
  ] as const
  return (
    <>
      <dl className="figures">
        {figures.map(([name, amount, about]) => (
          <div key={name} className="panel">
            <dt>{name}</dt>
            <dd className="number price">{amount}</dd>
            <dd className="muted small">{about}</dd>
          </div>
        ))}
      </dl>
      <p className="muted small">{of.as_of === null ? t.rebuilding : t.asOf(moment(of.as_of))}</p>
    </>
  )
}

/** With its sign, also where it is a gain. */
const signed = (amount: number): string => (amount > 0 ? `+${money(amount)}` : money(amount))

function Top({ of }: { of: Whole['top'] }) {
  return (
    <section>
      <h2>{text.portfolio.top}</h2>
      <ul className="rows" aria-label={text.portfolio.top}>
        {of.map(({ card, copies, price, value }) => (
          <li key={card.id}>
            <span className="what">
              <Link href={`/cards/${card.id}`}>{card.name}</Link>
              <span className="muted small">
                {card.set} · {card.number} · {text.trades.cards(copies)} ·{' '}
                {price === null ? text.portfolio.notSold : text.portfolio.each(money(price))}
              </span>
            </span>
            {value !== null && <span className="number price">{money(value)}</span>}
          </li>
        ))}
      </ul>
    </section>
  )
}
