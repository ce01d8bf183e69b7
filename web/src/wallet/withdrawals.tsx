import { useState } from 'react'
import { Section } from '../account/section'
import { type Intention, useIntention } from '../server/intention'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { refreshBalance, useBalance } from '../session/balance'
import { moment, money, parseMoney, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { useLoaded } from '../ui/loaded'
import { List, usePages } from '../ui/pages'
import { attempt, toast } from '../ui/toast'

type Withdrawal = Schema<'WithdrawalItem'>
interface Wanted {
  amount: number
  destination: string
}
const MAY_CANCEL: readonly Withdrawal['state'][] = ['requested', 'waiting_for_chain']

/** Paying money out, and what left already. */
export function Withdrawals({ changed }: { changed: () => void }) {
  const [made, setMade] = useState(0)
  const pages = usePages((cursor) => rest('get', '/ledger/withdrawals', { query: { cursor } }), [made])
  const moved = () => {
    void refreshBalance()
    changed()
    setMade((count) => count + 1)
  }
  const cancel = async (withdrawal_id: string) => {
    const path = { withdrawal_id }
    if (
      await attempt(() => rest('post', '/ledger/withdrawals/{withdrawal_id}/cancel', { path, key: newKey() }))
    )
      moved()
  }
  return (
    <>
      <Ask moved={moved} />
      <Section title={text.wallet.withdrawals}>
        <List
          of={pages}
          name={text.wallet.withdrawals}
          empty={<p className="muted">{text.wallet.noWithdrawals}</p>}
        >
          {(one) => (
            <li key={one.id}>
              <span className="what">
                <span>
                  <strong className="number">{money(one.amount)}</strong>{' '}
                  <span className="tag plain-tag">{text.wallet.states[one.state]}</span>
                </span>
                <span className="muted small">
                  {moment(one.requested_at)} · {text.wallet.to(one.destination)}
                </span>
                {one.reason && <span className="small">{one.reason}</span>}
                {one.signature && (
                  <span className="muted small">
                    {text.wallet.signature}: <code>{one.signature}</code>
                  </span>
                )}
              </span>
              {MAY_CANCEL.includes(one.state) && (
                <Button onClick={() => void cancel(one.id)}>{text.wallet.cancel}</Button>
              )}
            </li>
          )}
        </List>
      </Section>
      <CardWithdrawals />
    </>
  )
}

class NotMoney extends Error {}

function Ask({ moved }: { moved: () => void }) {
  const available = useBalance()
  const links = useLoaded((signal) => rest('get', '/wallets', { signal }), [])
  const [wanted, setWanted] = useState<Wanted>()
  const intention = useIntention()
  return (
    <Section title={text.wallet.withdrawTitle} about={text.wallet.withdrawAbout}>
      {available !== undefined && <p className="number">{text.bid.available(money(available))}</p>}
      <Form
        submit={text.wallet.ask}
        say={(error) => (error instanceof NotMoney ? text.wallet.notMoney : undefined)}
        onSubmit={async (values) => {
          const amount = parseMoney(values('amount'))
          if (!amount) throw new NotMoney()
          setWanted({ amount, destination: values('destination').trim() })
        }}
      >
        <Field name="amount" label={text.wallet.withdrawAmount} inputMode="decimal" autoComplete="off" />
        <Field
          name="destination"
          label={text.wallet.destination}
          hint={text.wallet.destinationHint}
          autoComplete="off"
          maxLength={44}
          list="own-wallets"
        />
        <datalist id="own-wallets">
          {links.value?.links.map(({ address }) => (
            <option key={address} value={address} label={text.wallet.choose} />
          ))}
        </datalist>
      </Form>
      {wanted && (
        <Sure of={wanted} intention={intention} moved={moved} onClose={() => setWanted(undefined)} />
      )}
    </Section>
  )
}

interface SureProps {
  of: Wanted
  intention: Intention
  moved: () => void
  onClose: () => void
}

/** Asked once more, with the whole address. */
function Sure({ of, intention, moved, onClose }: SureProps) {
  return (
    <Dialog title={text.wallet.sure} onClose={onClose}>
      <p className="wrap">{text.wallet.sureText(money(of.amount), of.destination)}</p>
      <Form
        submit={text.wallet.yes}
        onSubmit={async () => {
          const body = { ...of, currency: 'USDC' as const }
          await intention.send(body, (key) => rest('post', '/ledger/withdrawals', { key, body }))
          toast(text.wallet.asked)
          onClose()
          moved()
        }}
        beside={<Button onClick={onClose}>{text.ui.cancel}</Button>}
      />
    </Dialog>
  )
}

/** Cards that were sent to outside wallets; nothing where there are none. */
function CardWithdrawals() {
  const pages = usePages((cursor) => rest('get', '/wallets/cards/withdrawals', { query: { cursor } }), [])
  if (!pages.items?.length) return null
  return (
    <Section title={text.wallet.cardWithdrawals}>
      <List of={pages} name={text.wallet.cardWithdrawals} empty={null}>
        {(one) => (
          <li key={one.id}>
            <span className="what">
              <span>
                {text.wallet.to(one.address)}{' '}
                <span className="tag plain-tag">{text.wallet.states[one.state]}</span>
              </span>
              <span className="muted small">{moment(one.requested_at)}</span>
              {one.reason && <span className="small">{one.reason}</span>}
            </span>
          </li>
        )}
      </List>
    </Section>
  )
}
