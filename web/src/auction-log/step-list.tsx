import { useEffect, useRef } from 'react'
import { clockTime, money, text } from '../text/text'
import type { Step } from './steps'
import { ruleText } from './words'

interface Props {
  steps: readonly Step[]
  chosen: number
  choose: (index: number) => void
}

/** All steps in words; a press goes there. */
export function StepList({ steps, chosen, choose }: Props) {
  const list = useRef<HTMLOListElement>(null)
  useEffect(() => {
    const item = list.current?.children[chosen] as HTMLElement | undefined
    const box = list.current
    // The list alone scrolls, never the page.
    if (item && box) box.scrollTop = item.offsetTop - box.clientHeight / 2
  }, [chosen])
  return (
    <section className="panel step-list">
      <h2>{text.log.steps}</h2>
      <ol ref={list}>
        {steps.map((step, index) => (
          <li key={step.seq} className={step.own ? 'own' : ''}>
            <button
              type="button"
              aria-current={index === chosen ? 'step' : undefined}
              onClick={() => choose(index)}
            >
              <span>{ruleText(step.rule, money(step.price))}</span>
              <span className="muted small number">
                {step.own && <span className="tag good">{text.ladder.you}</span>} {clockTime(step.at)}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  )
}
