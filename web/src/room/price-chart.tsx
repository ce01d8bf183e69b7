import { memo, useMemo } from 'react'
import { StepPlot } from '../auction/step-plot'
import type { BidItem } from '../server/rest'
import { useSession } from '../session/use-session'
import { clockTime, money, text } from '../text/text'
import { useThrottled } from '../ui/use-throttled'

/** In a busy room it is drawn so often: a line of a thousand steps is what costs most there. */
const REDRAW_MS = 250

/** The price over time, as steps; one's own bids are marked. The list of bids says the same in words. */
export function PriceChart({ bids }: { bids: readonly BidItem[] }) {
  return <Chart bids={useThrottled(bids, REDRAW_MS)} />
}

const Chart = memo(function Chart({ bids }: { bids: readonly BidItem[] }) {
  const me = useSession()?.username
  const own = useMemo(
    () =>
      bids
        .filter(({ bidder }) => bidder === me)
        .map(({ seq, at, price }) => ({ key: seq, at, price, title: `${text.ladder.you}: ${money(price)}` })),
    [bids, me],
  )
  const first = bids[0]
  const last = bids.at(-1)
  if (!first || !last || bids.length < 2) return null
  return (
    <section className="panel chart">
      <h2>{text.chart.title}</h2>
      <StepPlot
        points={bids}
        marks={own}
        label={text.chart.label(bids.length, money(first.price), money(last.price))}
      />
      <p className="chart-times muted small number">
        <span>{clockTime(first.at)}</span>
        <span>{text.home.bids(bids.length)}</span>
        <span>{clockTime(last.at)}</span>
      </p>
    </section>
  )
})
