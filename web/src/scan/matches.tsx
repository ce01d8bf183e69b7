import { useEffect, useRef } from 'react'
import { Picture } from '../card/card-picture'
import type { Schema } from '../server/rest'
import { Link } from '../shell/link'
import { percent, text } from '../text/text'
import { Button } from '../ui/button'
import { levelOf } from './level'

type Scan = Schema<'Scan'>

/** The cards that look like it. The focus goes to what was found, so that a screen reader reads it. */
export function Matches({ scan, again }: { scan: Scan; again: () => void }) {
  const heading = useRef<HTMLHeadingElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each scan
  useEffect(() => heading.current?.focus(), [scan])
  const [first] = scan.matches
  const sure = first && levelOf(first.confidence) === 'high'
  return (
    <section className="scan-found" aria-labelledby="scan-found">
      <h2 id="scan-found" ref={heading} tabIndex={-1}>
        {first ? text.scan.found : text.scan.none}
      </h2>
      <p role="status">
        {first ? (sure ? text.scan.sure(first.card.name) : text.scan.unsure) : text.scan.noneText}
      </p>
      {first && (
        <ul className="scan-matches">
          {scan.matches.map(({ card, confidence }) => (
            <li key={card.id}>
              <Match card={card} confidence={confidence} />
            </li>
          ))}
        </ul>
      )}
      <div className="buttons">
        <Button kind="primary" onClick={again}>
          {first ? text.scan.again : text.scan.retry}
        </Button>
        <Link className="button" href="/browse">
          {first ? text.scan.notThese : text.scan.search}
        </Link>
      </div>
    </section>
  )
}

function Match({ card, confidence }: Scan['matches'][number]) {
  const level = levelOf(confidence)
  const share = percent(Math.round(confidence * 100) * 100)
  return (
    <Link className="scan-match" href={`/cards/${card.id}`}>
      <Picture src={card.images[0]} name="" sizes="6rem" eager />
      <span className="scan-facts">
        <span className="card-name">{card.name}</span>
        <span className="muted small">
          {card.set.name} · {card.number}
        </span>
        <span className="scan-level small" data-level={level}>
          {text.scan.confidence(text.scan.levels[level], share)}
        </span>
      </span>
    </Link>
  )
}
