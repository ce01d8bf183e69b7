import { useEffect, useMemo, useState } from 'react'
import { StepPlot } from '../auction/step-plot'
import '../styles/log.css'
import { useTitle } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { Missing } from '../shell/missing'
import { money, text } from '../text/text'
import { Shown } from '../ui/loaded'
import { StepList } from './step-list'
import { StepView } from './step-view'
import { decisive, stepsOf, verdictOf } from './steps'
import { type AuctionLog, useLog } from './use-log'
import { verdictText } from './words'

/** An auction's log, step by step: what happened, and which rule decided it. */
export default function LogPage({ params }: ScreenProps) {
  const id = params.auction ?? ''
  const log = useLog(id)
  if (log.error instanceof Problem && log.error.code === 'not_found')
    return <Missing title={text.room.notFoundTitle} detail={text.room.notFoundText} />
  return (
    <article className="log-page">
      <Link className="back" href={`/auctions/${id}`}>
        ← {text.log.back}
      </Link>
      <Shown of={log}>{(found) => <Replay log={found} />}</Shown>
    </article>
  )
}

function Replay({ log: { auction, items, cut } }: { log: AuctionLog }) {
  const me = useSession()?.username
  const steps = useMemo(() => stepsOf(items, me), [items, me])
  const bids = useMemo(() => steps.filter(({ isBid }) => isBid), [steps])
  const marks = useMemo(
    () =>
      bids
        .filter(({ own }) => own)
        .map(({ seq, at, price }) => ({ key: seq, at, price, title: `${text.ladder.you}: ${money(price)}` })),
    [bids],
  )
  const verdict = verdictOf(steps)
  const lost = ['lower', 'equal', 'bought'].includes(verdict.kind)
  const [index, setIndex] = useState(() => decisive(steps))
  const last = steps.length - 1
  const here = Math.min(index, last)
  useArrowKeys(here, last, setIndex)
  useTitle(lost ? text.log.why : text.log.title)
  const step = steps[here]
  const first = bids[0]
  const end = bids.at(-1)
  if (!step) return null
  return (
    <>
      <header>
        <p className="muted">{auction.title}</p>
        <h1>{lost ? text.log.why : text.log.title}</h1>
        <p className={lost ? 'verdict lost' : 'verdict'}>{verdictText(verdict, money(auction.price))}</p>
      </header>
      <div className="log-parts">
        <section className="panel scrubber" aria-label={text.log.scrub}>
          {first && end && bids.length > 1 && (
            <StepPlot
              points={bids}
              marks={marks}
              cursor={{ at: clamp(step.at, first.at, end.at), price: Math.max(step.price, first.price) }}
              label={text.chart.label(bids.length, money(first.price), money(end.price))}
            />
          )}
          <StepView step={step} index={here} last={last} go={setIndex} />
          {cut && <p className="muted small">{text.log.cut}</p>}
        </section>
        <StepList steps={steps} chosen={here} choose={setIndex} />
      </div>
    </>
  )
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value))

/** Wherever the focus is, except where the keys have another meaning. */
function useArrowKeys(here: number, last: number, go: (index: number) => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const inField = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
      if (inField || event.altKey || event.ctrlKey || event.metaKey) return
      const to = { ArrowLeft: here - 1, ArrowRight: here + 1 }[event.key]
      if (to === undefined) return
      event.preventDefault()
      go(clamp(to, 0, last))
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [here, last, go])
}
