interface Point {
  at: number
  price: number
}

export interface StepPath {
  /** SVG paths of the steps, and of the area below them. */
  line: string
  area: string
  x: (at: number) => number
  y: (price: number) => number
  low: number
  high: number
}

// The last price lasts: without a level of its own it would be a line at the edge.
const TAIL = 0.08

/** The steps of a price over time, in a box of `width` × `height`. There is at least one point; oldest first. */
export function stepPath(points: readonly Point[], width: number, height: number): StepPath {
  const begin = points[0]?.at ?? 0
  const span = (points.at(-1)?.at ?? 0) - begin || 1
  const prices = points.map(({ price }) => price)
  const low = Math.min(...prices)
  const high = Math.max(...prices)
  const x = (at: number) => round(((at - begin) / span) * width * (1 - TAIL))
  const y = (price: number) => round(height - ((price - low) / (high - low || 1)) * height)
  const line = points
    .map(({ at, price }, index) => (index ? `H${x(at)}V${y(price)}` : `M${x(at)} ${y(price)}`))
    .join('')
  const whole = `${line}H${width}`
  return { line: whole, area: `${whole}V${height}H0Z`, x, y, low, high }
}

const round = (value: number): number => Math.round(value * 10) / 10
