import { useServerNow } from './now'
import { timeLeft, urgencyOf } from './time-left'

/** The time until a moment, by the server's clock. Silent: what has to be heard is announced elsewhere. */
export function Countdown({ until, ended }: { until: number; ended: string }) {
  const left = until - useServerNow(until)
  return (
    <span className="countdown number" data-urgency={urgencyOf(left)} role="timer" aria-live="off">
      {left > 0 ? timeLeft(left) : ended}
    </span>
  )
}
