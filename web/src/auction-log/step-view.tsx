import { clockTime, day, money, text } from '../text/text'
import type { Step } from './steps'
import { rulePrinciple, ruleText } from './words'

interface Props {
  step: Step
  index: number
  last: number
  go: (index: number) => void
}

/** One step: the price and the leader after it, what happened, and by which rule. */
export function StepView({ step, index, last, go }: Props) {
  const words = ruleText(step.rule, money(step.price))
  return (
    <div className="step-view">
      <div className="steps-control">
        <button
          className="button icon"
          type="button"
          disabled={index === 0}
          onClick={() => go(index - 1)}
          aria-label={text.log.previous}
        >
          ‹
        </button>
        <input
          type="range"
          min={0}
          max={last}
          value={index}
          onChange={(event) => go(Number(event.target.value))}
          aria-label={text.log.step}
          aria-valuetext={`${text.log.stepOf(index + 1, last + 1)}: ${words}`}
        />
        <button
          className="button icon"
          type="button"
          disabled={index === last}
          onClick={() => go(index + 1)}
          aria-label={text.log.next}
        >
          ›
        </button>
      </div>
      <p className="muted small number">
        {text.log.stepOf(index + 1, last + 1)} · {day(step.at)}, {clockTime(step.at)}
      </p>
      <dl className="step-facts">
        <div>
          <dt className="label">{text.log.price}</dt>
          <dd className="big number">{money(step.price)}</dd>
        </div>
        <div>
          <dt className="label">{text.log.leader}</dt>
          <dd className="big">
            {step.leader ? (step.leader.own ? text.ladder.you : step.leader.name) : text.log.nobody}
          </dd>
        </div>
      </dl>
      <div aria-live="polite" className="step-words">
        <p>
          <strong>{words}</strong>
        </p>
        <p className="muted">{rulePrinciple(step.rule)}</p>
      </div>
    </div>
  )
}
