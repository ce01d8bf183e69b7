import 'uplot/dist/uPlot.min.css'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import type { Schema } from '../server/rest'
import { useTheme } from '../shell/theme'
import { day, money, text } from '../text/text'

const HEIGHT = 240

/** The last price of each day with sales, over the band from its lowest to its highest. */
export default function DayChart({ history }: { history: readonly Schema<'PriceDay'>[] }) {
  const place = useRef<HTMLDivElement>(null)
  const theme = useTheme()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes what the styles say
  useEffect(() => {
    const box = place.current
    if (!box) return
    const style = getComputedStyle(box)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const axis = { stroke: colour('--ink-soft'), grid: { stroke: colour('--line') }, ticks: { show: false } }
    const line = { stroke: colour('--accent'), points: { show: true, size: 7, fill: colour('--surface') } }
    // Low and high are the edges of the band alone: uPlot would draw white points on them.
    const edge = { stroke: 'transparent', points: { show: false } }
    const chart = new uPlot(
      {
        width: box.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: false, y: false } },
        axes: [
          { ...axis, values: (_, days) => days.map((at) => day(at * 1000)), space: 110 },
          { ...axis, values: (_, amounts) => amounts.map((amount) => money(amount)), size: 84 },
        ],
        series: [{}, { ...line, width: 2 }, edge, edge],
        bands: [{ series: [3, 2], fill: `${colour('--accent')}26` }],
      },
      [
        history.map((one) => one.day / 1000),
        history.map((one) => one.close),
        history.map((one) => one.low),
        history.map((one) => one.high),
      ],
      box,
    )
    const watch = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: HEIGHT }))
    watch.observe(box)
    return () => {
      watch.disconnect()
      chart.destroy()
    }
  }, [history, theme])
  const low = Math.min(...history.map((one) => one.low))
  const high = Math.max(...history.map((one) => one.high))
  return (
    <div
      className="day-chart"
      ref={place}
      role="img"
      aria-label={text.card.priceLabel(history.length, money(low), money(high))}
    />
  )
}
