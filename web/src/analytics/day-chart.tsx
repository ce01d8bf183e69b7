import 'uplot/dist/uPlot.min.css'
import { type KeyboardEvent, useEffect, useRef } from 'react'
import UPlot from 'uplot'
import { useTheme } from '../shell/theme'
import { count, money, text } from '../text/text'
import { everyDay, type Measure, type Report, utcDay } from './days'

const HEIGHT = 256
/** Steps of an axis: there is no half of a bid. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]
const DAY_S = 86_400

interface Props {
  report: Report
  measure: Measure
  name: string
}

/** Bars by day. The arrow keys move the cursor; the table below the chart has the same figures. */
export function DayChart({ report, measure, name }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | null>(null)
  const points = everyDay(report, measure)
  const theme = useTheme()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the points follow from the report and the measure; the theme changes what the styles say
  useEffect(() => {
    const place = box.current
    if (!place) return
    const style = getComputedStyle(document.documentElement)
    const color = (token: string) => style.getPropertyValue(token).trim()
    const counts = measure === 'bids' || measure === 'wins'
    const shown = (value: number) => (counts ? count(value) : money(value, true))
    const axis = {
      stroke: color('--ink-soft'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
      font: `12px ${getComputedStyle(place).fontFamily}`,
    }
    const chart = new UPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
        cursor: { drag: { x: false, y: false } },
        scales: {
          x: { range: (_, min, max) => [min - DAY_S / 2, max + DAY_S / 2] },
          y: { range: (_, __, max) => [0, max || 1] },
        },
        axes: [
          { ...axis, values: (_, days) => days.map((at) => utcDay(at * 1000, true)) },
          { ...axis, size: 72, values: (_, values) => values.map(shown), ...(counts && { incrs: WHOLE }) },
        ],
        series: [
          { label: text.analytics.day, value: (_, at) => (at == null ? '–' : utcDay(at * 1000)) },
          {
            label: name,
            stroke: color('--accent'),
            fill: color('--accent'),
            paths: UPlot.paths.bars?.({ size: [0.7, 40] }) ?? (() => null),
            points: { show: false },
            value: (_, value) => (value == null ? '–' : shown(value)),
          },
        ],
      },
      [points.map(({ at }) => at / 1000), points.map(({ value }) => value)],
      place,
    )
    plot.current = chart
    const sized = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT }))
    sized.observe(place)
    return () => {
      sized.disconnect()
      chart.destroy()
    }
  }, [report, measure, name, theme])

  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    const chart = plot.current
    if (!step || !chart) return
    event.preventDefault()
    const next = Math.min(points.length - 1, Math.max(0, (chart.cursor.idx ?? points.length) + step))
    chart.setCursor({ left: chart.valToPos((points[next]?.at ?? 0) / 1000, 'x'), top: 0 })
  }
  return (
    <div
      className="activity-chart"
      ref={box}
      role="application"
      aria-label={text.analytics.chart(name, points.length)}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys go from day to day
      tabIndex={0}
      onKeyDown={move}
    />
  )
}
