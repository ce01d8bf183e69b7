import { useState } from 'react'
import { type Copy, rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { count, moment, money, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { List, usePages } from '../ui/pages'
import { Ownership } from './ownership'

/** Every copy of a card: who has it, whether it is for sale, and where it comes from. */
export function Copies({ card }: { card: string }) {
  const copies = usePages(
    (cursor) =>
      rest('get', '/catalog/cards/{card_id}/copies', {
        path: { card_id: card },
        query: { limit: 20, cursor },
      }),
    [card],
  )
  return (
    <section className="card-copies">
      <h2>{text.card.copies}</h2>
      <List of={copies} name={text.card.copies} empty={<p className="muted">{text.card.noCopies}</p>}>
        {(copy) => <OneCopy key={copy.id} copy={copy} />}
      </List>
    </section>
  )
}

function OneCopy({ copy }: { copy: Copy }) {
  const [open, setOpen] = useState(false)
  const me = useSession()?.username
  const say = text.card
  const grade = copy.grader && copy.grade ? say.grade(copy.grader, count(copy.grade / 10)) : say.ungraded
  return (
    <li>
      <span className="what">
        <span>
          <strong>{say.serial(copy.serial)}</strong> · {grade}
        </span>
        <span className="muted small">
          {say.ownedBy} {copy.owner ? <Link href={`/users/${copy.owner}`}>{copy.owner}</Link> : say.outside} ·{' '}
          {say.places[copy.place]}
        </span>
      </span>
      <span className="buttons">
        {copy.auction && (
          <Link className="button primary" href={`/auctions/${copy.auction}`}>
            {say.toAuction}
          </Link>
        )}
        {copy.owner === me && copy.place === 'free' && (
          <Link className="button" href={`/sell?copy=${copy.id}`}>
            {say.sellIt}
          </Link>
        )}
        {copy.owner && copy.place === 'free' && (
          <Link
            className="button"
            href={`/trades/new?copy=${copy.id}`}
            aria-label={`${text.trades.start}: ${say.serial(copy.serial)}`}
          >
            {text.trades.start}
          </Link>
        )}
        <button
          className="button quiet"
          type="button"
          aria-expanded={open}
          aria-label={say.historyOf(copy.serial)}
          onClick={() => setOpen(!open)}
        >
          {say.history}
        </button>
      </span>
      {open && (
        <div className="copy-more">
          <Provenance copy={copy.id} />
          <Ownership copy={copy.id} />
        </div>
      )}
    </li>
  )
}

function Provenance({ copy }: { copy: string }) {
  const say = text.card
  const history = useLoaded(
    (signal) =>
      rest('get', '/copies/{copy_id}/provenance', { path: { copy_id: copy }, query: { limit: 100 }, signal }),
    [copy],
  )
  return (
    <section>
      <h3>{say.provenance}</h3>
      <Shown of={history}>
        {({ items }) => (
          <ol className="provenance">
            {items.map((one) => (
              <li key={one.seq}>
                <span>
                  {say.reasons[one.reason](one.to ?? say.someone)}
                  {one.price !== null && <strong className="number"> · {money(one.price)}</strong>}
                </span>
                <span className="muted small">
                  {moment(one.at)}
                  {one.auction && (
                    <>
                      {' · '}
                      <Link href={`/auctions/${one.auction}`}>{say.auction}</Link>
                      {' · '}
                      <a href={`/api/v1/auctions/${one.auction}/proof`}>{say.record}</a>
                    </>
                  )}
                </span>
                {one.event_hash && (
                  <code className="small">
                    {say.logHash}: {one.event_hash}
                  </code>
                )}
              </li>
            ))}
          </ol>
        )}
      </Shown>
    </section>
  )
}
