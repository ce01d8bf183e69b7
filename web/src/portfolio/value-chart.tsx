import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { BASE_UNITS, day, money } from '../text/text'

const HEIGHT = 220
const TICKS_WIDTH = 80
const PRICES_WIDTH = 64
const DAYS_HEIGHT = 32

interface Point {
  day: number
  value: number
}

/** A curve of values over days; it is drawn in the colours of the theme, as wide as its place. */
export function ValueChart({ points, label }: { points: readonly Point[]; label: string }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const box = place.current
    if (!box) return
    let chart: uPlot | undefined
    const draw = () => {
      chart?.destroy()
      chart = new uPlot(optionsIn(box), columnsOf(points), box)
    }
    draw()
    const sizes = new ResizeObserver(() => chart?.setSize({ width: box.clientWidth, height: HEIGHT }))
    sizes.observe(box)
    const themes = new MutationObserver(draw)
    themes.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    return () => {
      sizes.disconnect()
      themes.disconnect()
      chart?.destroy()
    }
  }, [points])
  return <div className="value-chart" ref={place} role="img" aria-label={label} />
}

const columnsOf = (points: readonly Point[]): uPlot.AlignedData => [
  points.map((point) => point.day / 1000),
  points.map(({ value }) => value / BASE_UNITS),
]

function optionsIn(box: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(box)
  const colour = (name: string) => styles.getPropertyValue(name).trim()
  const axis: uPlot.Axis = {
    stroke: colour('--ink-soft'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `12px ${styles.fontFamily}`,
  }
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.1 : 1] } },
    axes: [
      {
        ...axis,
        space: TICKS_WIDTH,
        size: DAYS_HEIGHT,
        values: (_, ticks) => ticks.map((at) => day(at * 1000)),
      },
      {
        ...axis,
        size: PRICES_WIDTH,
        values: (_, ticks) => ticks.map((value) => money(value * BASE_UNITS, true)),
      },
    ],
    series: [{}, { stroke: colour('--accent'), width: 2, points: { show: false } }],
  }
}
