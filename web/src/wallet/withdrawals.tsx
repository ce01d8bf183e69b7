import { useState } from 'react'
import { Section } from '../account/section'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { refreshBalance } from '../session/balance'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { List, usePages } from '../ui/pages'
import { attempt } from '../ui/toast'
import { WithdrawMoney } from './withdraw-money'

type Withdrawal = Schema<'WithdrawalItem'>
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
      <WithdrawMoney moved={moved} />
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
