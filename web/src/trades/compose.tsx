import { useEffect, useState } from 'react'
import { useIntention } from '../server/intention'
import { Problem } from '../server/problem'
import { rest, type Schema } from '../server/rest'
import { parseMoney, text, typedMoney } from '../text/text'
import { Button } from '../ui/button'
import { Form } from '../ui/form'
import { TextArea } from '../ui/text-area'
import { isOffer, legsBetween, type Side, type WholeLeg } from './negotiation'
import { Picker } from './picker'
import { Comparison } from './sides'

export interface Offered {
  legs: WholeLeg[]
  message: string
  days: number
  key: string
}

interface Props {
  me: string
  other: { id: string; username: string }
  gives: Side
  gets: Side
  submit: string
  /** A new offer says how long it is open. */
  withDays?: boolean
  onCancel?: () => void
  send: (offered: Offered) => Promise<void>
}

const VALUE_AFTER_MS = 300
const WORDS_MAX = 1_000
const DAYS = [1, 3, 7, 14, 30]
const DAYS_DEFAULT = 7

interface Draft {
  copies: readonly string[]
  typed: string
}
const draftOf = ({ copies, money }: Side): Draft => ({ copies, typed: money > 0 ? typedMoney(money) : '' })
const amountOf = ({ typed }: Draft): number | undefined => (typed.trim() ? parseMoney(typed) : 0)

/** What both sides give, chosen from their free cards, and what that is worth meanwhile. */
export function Compose({ me, other, gives, gets, submit, withDays, onCancel, send }: Props) {
  const [mine, setMine] = useState(() => draftOf(gives))
  const [theirs, setTheirs] = useState(() => draftOf(gets))
  const intention = useIntention()
  const paid = amountOf(mine)
  const got = amountOf(theirs)
  const wrong =
    paid === undefined || got === undefined
      ? text.compose.notMoney
      : paid > 0 && got > 0
        ? text.compose.moneyOneWay
        : undefined
  const side = (draft: Draft, money: number | undefined): Side => ({
    copies: draft.copies,
    money: money ?? 0,
  })
  const give = side(mine, paid)
  const get = side(theirs, got)
  const legs = legsBetween(me, other.id, give, get)
  const value = useValue(wrong === undefined ? legs : [])
  const own = value?.parties.find(({ user }) => user === me)
  const complete = wrong === undefined && isOffer(give, get)
  return (
    <div className="compose">
      <div className="sides">
        <SideChoice
          title={text.compose.yours}
          none={text.compose.noYours}
          about={me}
          load={(cursor) => rest('get', '/users/me/copies', { query: { place: 'free', cursor } })}
          draft={mine}
          change={setMine}
        />
        <SideChoice
          title={text.compose.theirs(other.username)}
          none={text.compose.noTheirs(other.username)}
          about={other.id}
          load={(cursor) =>
            rest('get', '/users/{username}/copies', {
              path: { username: other.username },
              query: { place: 'free', cursor },
            })
          }
          draft={theirs}
          change={setTheirs}
        />
      </div>
      <div aria-live="polite">{own && <Comparison gives={own.gives} gets={own.gets} />}</div>
      <Form
        submit={submit}
        say={(error) => (error instanceof Incomplete ? error.message : undefined)}
        onSubmit={async (values) => {
          if (!complete) throw new Incomplete(wrong ?? text.compose.needsBoth)
          const days = Number(values('days') || DAYS_DEFAULT)
          const offer = { legs, message: values('message').trim(), days }
          await intention.send(offer, (key) => send({ ...offer, key }))
        }}
        beside={onCancel && <Button onClick={onCancel}>{text.ui.cancel}</Button>}
      >
        {withDays && <Days />}
        <TextArea name="message" label={text.compose.message} maxLength={WORDS_MAX} />
      </Form>
    </div>
  )
}

class Incomplete extends Error {}

interface ChoiceProps {
  title: string
  none: string
  about: string
  load: Parameters<typeof Picker>[0]['load']
  draft: Draft
  change: (draft: Draft) => void
}

function SideChoice({ title, none, about, load, draft, change }: ChoiceProps) {
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
          onChange={(event) => change({ ...draft, typed: event.target.value })}
        />
      </label>
    </fieldset>
  )
}

function Days() {
  return (
    <label className="field">
      {text.compose.open}
      <select name="days" defaultValue={DAYS_DEFAULT}>
        {DAYS.map((days) => (
          <option key={days} value={days}>
            {text.compose.openDays(days)}
          </option>
        ))}
      </select>
    </label>
  )
}

/** What these legs are worth; the last answer stays until the next one. */
function useValue(legs: WholeLeg[]): Schema<'TradeValue'> | undefined {
  const [value, setValue] = useState<Schema<'TradeValue'>>()
  const asked = JSON.stringify(legs)
  useEffect(() => {
    const about = JSON.parse(asked) as WholeLeg[]
    if (about.length === 0) return setValue(undefined)
    const stop = new AbortController()
    const timer = setTimeout(() => {
      rest('post', '/trade-values', { body: { legs: about }, signal: stop.signal })
        .then(setValue)
        .catch(() => undefined)
    }, VALUE_AFTER_MS)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [asked])
  return value
}
