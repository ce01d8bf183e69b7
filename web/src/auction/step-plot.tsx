import { useMemo } from 'react'
import '../styles/chart.css'
import { money } from '../text/text'
import { stepPath } from './step-path'

const WIDTH = 600
const HEIGHT = 160

export interface PlotPoint {
  at: number
  price: number
}

interface Props {
  /** At least one, oldest first. */
  points: readonly PlotPoint[]
  label: string
  /** Points that are marked, each with what it is. */
  marks: readonly (PlotPoint & { key: number; title: string })[]
  /** Where somebody looks. */
  cursor?: PlotPoint | undefined
}

/** A price over time, as steps. */
export function StepPlot({ points, label, marks, cursor }: Props) {
  const { line, area, x, y, low, high } = useMemo(() => stepPath(points, WIDTH, HEIGHT), [points])
  const left = (at: number) => `${(x(at) / WIDTH) * 100}%`
  const top = (price: number) => `${(y(price) / HEIGHT) * 100}%`
  return (
    <div className="plot">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <path className="chart-area" d={area} />
        <path className="chart-line" d={line} />
      </svg>
      {marks.map(({ key, at, price, title }) => (
        <span key={key} className="chart-mark" title={title} style={{ left: left(at), top: top(price) }} />
      ))}
      {cursor && (
        <>
          <span className="chart-cursor" style={{ left: left(cursor.at) }} />
          <span className="chart-here" style={{ left: left(cursor.at), top: top(cursor.price) }} />
        </>
      )}
      <span className="chart-high number small">{money(high, true)}</span>
      <span className="chart-low number small">{money(low, true)}</span>
    </div>
  )
}
