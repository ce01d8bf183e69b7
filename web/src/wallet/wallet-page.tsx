import '../styles/account.css'
import '../styles/copies.css'
import '../styles/wallet.css'
import { useState } from 'react'
import { Section } from '../account/section'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { rest } from '../server/rest'
import { depositPlayMoney, PLAY_MONEY, useBalance } from '../session/balance'
import { money, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { Tabs } from '../ui/tabs'
import { attempt, toast } from '../ui/toast'
import { Deposits } from './deposits'
import { FromWallet } from './from-wallet'
import { Ledger } from './ledger'
import { LinkedWallets } from './linked-wallets'
import { Withdrawals } from './withdrawals'

const TABS = ['ledger', 'deposit', 'withdraw', 'wallets'] as const
type Tab = (typeof TABS)[number]

/** `?tab=` is the part that is shown. */
export default function WalletPage({ query }: ScreenProps) {
  const tab = TABS.find((key) => key === query.get('tab')) ?? 'ledger'
  const setTab = (key: Tab) => navigate(`/wallet?tab=${key}`, { replace: true, stay: true })
  // Counts what has changed the balance here.
  const [changes, setChanges] = useState(0)
  const changed = () => setChanges((count) => count + 1)
  const tabs = TABS.map((key) => ({ key, title: text.wallet.tabs[key] }))
  return (
    <div className="account-page wallet">
      <h1>{text.wallet.title}</h1>
      <Balance changes={changes} />
      <div className="scrolling-tabs">
        <Tabs label={text.wallet.sections} tabs={tabs} chosen={tab} choose={setTab}>
          {tab === 'ledger' && <Ledger changes={changes} />}
          {tab === 'deposit' && (
            <>
              <PlayMoney changed={changed} />
              <FromWallet changed={changed} />
              <Deposits />
            </>
          )}
          {tab === 'withdraw' && <Withdrawals changed={changed} />}
          {tab === 'wallets' && <LinkedWallets />}
        </Tabs>
      </div>
    </div>
  )
}

function Balance({ changes }: { changes: number }) {
  // What the header shows changes when somebody bids: then these have changed, too.
  const available = useBalance()
  const balances = useLoaded((signal) => rest('get', '/ledger/balance', { signal }), [changes, available])
  return (
    <Shown of={balances}>
      {({ balances: all }) => (
        <>
          {all.map(({ currency, posted, pending, available: free }) => (
            <dl className="figures" key={currency}>
              <div className="panel">
                <dt>
                  {text.wallet.available} ({currency})
                </dt>
                <dd className="number price">{money(free)}</dd>
              </div>
              <div className="panel">
                <dt>{text.wallet.onHold}</dt>
                <dd className="number price">{money(pending)}</dd>
              </div>
              <div className="panel">
                <dt>{text.wallet.total}</dt>
                <dd className="number price">{money(posted)}</dd>
              </div>
            </dl>
          ))}
          <p className="muted small">{text.wallet.holdAbout}</p>
        </>
      )}
    </Shown>
  )
}

function PlayMoney({ changed }: { changed: () => void }) {
  const [busy, setBusy] = useState(false)
  const add = async () => {
    setBusy(true)
    if (await attempt(depositPlayMoney)) {
      toast(text.wallet.added)
      changed()
    }
    setBusy(false)
  }
  return (
    <Section title={text.wallet.playMoney(money(PLAY_MONEY, true))} about={text.wallet.playAbout}>
      <div className="buttons">
        <Button kind="primary" busy={busy} onClick={() => void add()}>
          {text.wallet.playMoney(money(PLAY_MONEY, true))}
        </Button>
      </div>
    </Section>
  )
}
