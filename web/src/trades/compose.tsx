import { useState } from 'react'
import { useIntention } from '../server/intention'
import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { useBalance } from '../session/balance'
import { money, text } from '../text/text'
import { Button } from '../ui/button'
import { Form } from '../ui/form'
import { TextArea } from '../ui/text-area'
import { isOffer, legsBetween, type Side, type WholeLeg } from './negotiation'
import { amountOf, type Draft, draftOf, moneyFault, SideChoice } from './side-choice'
import { useWorth, Worth } from './worth'

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

const WORDS_MAX = 1_000
const DAYS = [1, 3, 7, 14, 30]
const DAYS_DEFAULT = 7

/** What both sides give, chosen from their free cards, with what that is worth and what is taken from the money. */
export function Compose({ me, other, gives, gets, submit, withDays, onCancel, send }: Props) {
  const [mine, setMine] = useState(() => draftOf(gives))
  const available = useBalance()
  const [theirs, setTheirs] = useState(() => draftOf(gets))
  const intention = useIntention()
  const paid = amountOf(mine)
  const got = amountOf(theirs)
  const wrong = moneyFault(paid, got)
  const side = (draft: Draft, money: number | undefined): Side => ({
    copies: draft.copies,
    money: money ?? 0,
  })
  const give = side(mine, paid)
  const get = side(theirs, got)
  const legs = legsBetween(me, other.id, give, get)
  const asked = wrong === undefined ? legs : []
  const worth = useWorth(asked)
  const own = worth.value?.parties.find(({ user }) => user === me)
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
          prices={worth.value?.copies}
          value={own?.gives}
          hint={available === undefined ? undefined : text.bid.available(money(available))}
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
          prices={worth.value?.copies}
          value={own?.gets}
        />
      </div>
      <Worth
        worth={worth}
        payment={
          // The money of the answer: what is typed now may be asked for still.
          worth.value &&
          own && {
            paid: own.gives.money + own.gets.money,
            fee: worth.value.fee,
            royalties: worth.value.royalties,
            share: worth.value.fee_basis_points,
          }
        }
        begun={asked.length > 0}
        wrong={wrong}
        me={me}
        name={other.username}
        pays={give.money > 0}
      />
      <Form
        submit={submit}
        say={(error) => {
          if (error instanceof Incomplete) return error.message
          const refused = error instanceof Problem && error.code === 'forbidden'
          return refused ? text.compose.takesNone(other.username) : undefined
        }}
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
