import { type ReactNode, useId } from 'react'
import { Problem } from '../server/problem'
import type { Schema } from '../server/rest'
import { parseMoney, text, typedMoney } from '../text/text'
import type { Side } from './negotiation'
import { Picker } from './picker'
import { SideTotal } from './sides'

/** What one side gives, as it is being typed. */
export interface Draft {
  copies: readonly string[]
  typed: string
}
export const draftOf = ({ copies, money }: Side): Draft => ({
  copies,
  typed: money > 0 ? typedMoney(money) : '',
})
/** In base units; undefined where that is no amount. */
export const amountOf = ({ typed }: Draft): number | undefined => (typed.trim() ? parseMoney(typed) : 0)

/** What is wrong with the amounts of the two sides. */
export function moneyFault(paid: number | undefined, got: number | undefined): string | undefined {
  if (paid === undefined || got === undefined) return text.compose.notMoney
  return paid > 0 && got > 0 ? text.compose.moneyOneWay : undefined
}

interface ChoiceProps {
  title: string
  none: string
  about: string
  load: Parameters<typeof Picker>[0]['load']
  draft: Draft
  change: (draft: Draft) => void
  prices: Schema<'TradeValue'>['copies'] | undefined
  value: Schema<'SideValue'> | undefined
  hint?: string | undefined
  children?: ReactNode
}

/** The cards and the money of one side. `children` stand below. */
export function SideChoice({
  title,
  none,
  about,
  load,
  draft,
  change,
  prices,
  value,
  hint,
  children,
}: ChoiceProps) {
  const money = useId()
  return (
    <fieldset className="panel side">
      <legend className="visually-hidden">{title}</legend>
      <p className="side-title" aria-hidden="true">
        {title}
      </p>
      <Picker
        none={none}
        about={about}
        load={load}
        refused={(error) =>
          error instanceof Problem && error.code === 'forbidden' ? text.compose.privateCollection : undefined
        }
        chosen={draft.copies}
        prices={prices}
        choose={(copies) => change({ ...draft, copies })}
      />
      <label className="field money-field">
        {text.compose.money}
        <input
          inputMode="decimal"
          autoComplete="off"
          placeholder="0"
          value={draft.typed}
          aria-label={`${title} ${text.compose.money}`}
          aria-describedby={hint && money}
          onChange={(event) => change({ ...draft, typed: event.target.value })}
        />
      </label>
      {hint && (
        <p className="muted small number" id={money}>
          {hint}
        </p>
      )}
      {children}
      <SideTotal of={value} />
    </fieldset>
  )
}
