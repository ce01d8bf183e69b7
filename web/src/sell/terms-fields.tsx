import { type InputHTMLAttributes, useId, useState } from 'react'
import { text } from '../text/text'
import { type Draft, DURATIONS_MS, type Duration, type Faults } from './terms'

const DURATIONS = Object.keys(DURATIONS_MS) as Duration[]

interface Props {
  draft: Draft
  change: (part: Partial<Draft>) => void
  faults: Faults
}

/** The terms: prices, time, and how it ends. */
export function TermsFields({ draft, change, faults }: Props) {
  const say = text.sell
  const faultOf = (name: keyof Faults) => {
    const code = faults[name]
    return code === undefined ? undefined : say.faults[code]
  }
  const money = (name: 'start' | 'reserve' | 'buyNow', label: string, hint: string) => (
    <Labelled
      label={label}
      hint={hint}
      fault={faultOf(name)}
      sign={text.bid.currency}
      className="number"
      inputMode="decimal"
      value={draft[name]}
      onChange={(event) => change({ [name]: event.target.value })}
    />
  )
  return (
    <fieldset className="terms">
      <legend>
        <h2>{say.terms}</h2>
      </legend>
      <p className="small muted">{say.format}</p>
      <Labelled
        label={say.name}
        hint={say.nameHint}
        fault={faultOf('title')}
        maxLength={200}
        value={draft.title}
        onChange={(event) => change({ title: event.target.value })}
      />
      <div className="terms-row">
        {money('start', say.start, say.startHint)}
        {money('reserve', say.reserve, say.reserveHint)}
        {money('buyNow', say.buyNow, say.buyNowHint)}
      </div>
      <div className="terms-row">
        <label className="field">
          <span>{say.duration}</span>
          <select
            value={draft.duration}
            onChange={(event) => change({ duration: event.target.value as Duration })}
          >
            {DURATIONS.map((one) => (
              <option key={one} value={one}>
                {say.durations[one]}
              </option>
            ))}
          </select>
        </label>
        <Begin draft={draft} change={change} fault={faultOf('beginsAt')} />
      </div>
      <label className="choice">
        <input
          type="checkbox"
          checked={draft.softClose}
          onChange={(event) => change({ softClose: event.target.checked })}
        />
        <span>
          {say.softClose}
          <span className="hint"> {say.softCloseHint}</span>
        </span>
      </label>
    </fieldset>
  )
}

function Begin({ draft, change, fault }: Omit<Props, 'faults'> & { fault: string | undefined }) {
  const [later, setLater] = useState(draft.beginsAt !== '')
  const say = text.sell
  const turn = (wanted: boolean) => {
    setLater(wanted)
    change({ beginsAt: '' })
  }
  return (
    <div className="begin">
      <label className="field">
        <span>{say.begins}</span>
        <select value={later ? 'later' : 'now'} onChange={(event) => turn(event.target.value === 'later')}>
          <option value="now">{say.beginsNow}</option>
          <option value="later">{say.beginsLater}</option>
        </select>
      </label>
      {later && (
        <Labelled
          type="datetime-local"
          label={say.beginsAt}
          fault={fault}
          value={draft.beginsAt}
          onChange={(event) => change({ beginsAt: event.target.value })}
        />
      )}
    </div>
  )
}

interface LabelledProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string
  hint?: string
  fault: string | undefined
  sign?: string
}

function Labelled({ label, hint, fault, sign, ...rest }: LabelledProps) {
  const id = useId()
  const note = fault ?? hint
  return (
    <div className={sign ? 'field with-sign' : 'field'}>
      <label htmlFor={id}>{label}</label>
      <span className="signed">
        {sign && <span aria-hidden="true">{sign}</span>}
        <input
          id={id}
          autoComplete="off"
          aria-invalid={fault !== undefined}
          aria-describedby={note ? `${id}-note` : undefined}
          {...rest}
        />
      </span>
      {note && (
        <span id={`${id}-note`} className={fault ? 'fault' : 'hint'}>
          {note}
        </span>
      )}
    </div>
  )
}
