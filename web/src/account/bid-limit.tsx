import { useState } from 'react'
import { rest } from '../server/rest'
import { parseMoney, text, typedMoney } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import { Section } from './section'

/** The amount above which a bid is asked about before it is sent. */
export function BidLimit() {
  const preferences = useLoaded((signal) => rest('get', '/users/me/preferences', { signal }), [])
  const change = async (limit: number | null) => {
    const body = { confirm_bids_above: limit } as never
    const done = await attempt(async () =>
      preferences.set(await rest('patch', '/users/me/preferences', { body })),
    )
    if (done) toast(text.ui.saved)
  }
  return (
    <div id="bidding">
      <Section title={text.account.bidding} about={text.account.biddingAbout}>
        <Shown of={preferences}>
          {({ confirm_bids_above }) => (
            <Limit
              key={confirm_bids_above}
              limit={confirm_bids_above}
              change={(limit) => void change(limit)}
            />
          )}
        </Shown>
      </Section>
    </div>
  )
}

function Limit({ limit, change }: { limit: number | null; change: (limit: number | null) => void }) {
  const [typed, setTyped] = useState(limit === null ? '' : typedMoney(limit))
  const amount = parseMoney(typed)
  const wrong = typed !== '' && amount === undefined
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault()
        if (amount !== undefined) change(amount)
      }}
    >
      <label className="field">
        <span>{text.account.bidLimit}</span>
        <input
          className="number"
          inputMode="decimal"
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          aria-invalid={wrong}
          aria-describedby="bid-limit-note"
        />
        <span id="bid-limit-note" className="fault">
          {wrong && text.account.bidLimitBad}
        </span>
      </label>
      <div className="buttons">
        <Button type="submit" kind="primary" disabled={amount === undefined || amount === limit}>
          {text.ui.save}
        </Button>
        <Button disabled={limit === null} onClick={() => change(null)}>
          {text.account.bidLimitNone}
        </Button>
      </div>
    </form>
  )
}
