import { useEffect, useState } from 'react'
import { Section } from '../account/section'
import { whichCopy } from '../card/copy-tile'
import type { Copy } from '../server/rest'
import { rest } from '../server/rest'
import { useWallets } from '../session/use-wallets'
import { addressOf, canSendTransactions, canSignTransactions, type Wallet } from '../session/wallets'
import { money, parseMoney, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import {
  canDeposit,
  type Prepared,
  prepare,
  RefusedByWallet,
  type Sending,
  signAndSend,
  sol,
  watch,
} from './deposit'

interface Wanted {
  wallet: Wallet
  what: string
  prepared: Prepared
}

class NothingChosen extends Error {}

/** Money, or a card that is outside, comes into custody by a transaction that the user's own wallet signs. */
export function FromWallet({ changed }: { changed: () => void }) {
  const wallets = useWallets().filter((one) => canSignTransactions(one) || canSendTransactions(one))
  const outside = useLoaded(
    (signal) => rest('get', '/users/me/copies', { query: { place: 'withdrawn' }, signal }),
    [],
  )
  const [chosen, setChosen] = useState(0)
  const [wanted, setWanted] = useState<Wanted>()
  const [sending, setSending] = useState<Sending>()
  const wallet = wallets[chosen] ?? wallets[0]
  if (!wallet) return null
  const t = text.wallet
  const ask = async (what: string, sent: { amount: number } | { copy: string }) => {
    const prepared = await prepare({ wallet: await addressOf(wallet), ...sent })
    if (!canDeposit(wallet, prepared)) return toast(t.onlySends, true)
    setWanted({ wallet, what, prepared })
  }
  return (
    <Section title={t.fromWallet} about={t.fromWalletAbout}>
      <Form
        submit={t.look}
        say={(error) => sayOf(error)}
        onSubmit={async (values) => {
          const amount = parseMoney(values('from-wallet'))
          if (!amount) throw new NothingChosen()
          await ask(money(amount), { amount })
        }}
      >
        {wallets.length > 1 && <Choice of={wallets} chosen={chosen} choose={setChosen} />}
        <Field name="from-wallet" label={t.fromWalletAmount} inputMode="decimal" autoComplete="off" />
      </Form>
      <OutsideCards
        of={outside.value?.items ?? []}
        deposit={(copy) => void attempt(() => ask(copy.name, { copy: copy.id }))}
      />
      {sending && (
        <Progress
          of={sending}
          arrived={() => {
            outside.again()
            changed()
          }}
        />
      )}
      {wanted && <Sure of={wanted} onClose={() => setWanted(undefined)} sent={setSending} />}
    </Section>
  )
}

function Choice({ of, chosen, choose }: { of: Wallet[]; chosen: number; choose: (at: number) => void }) {
  return (
    <label className="field">
      {text.wallet.tabs.wallets}
      <select value={chosen} onChange={(event) => choose(Number(event.target.value))}>
        {of.map((wallet, at) => (
          <option key={wallet.name} value={at}>
            {wallet.name}
          </option>
        ))}
      </select>
    </label>
  )
}

function OutsideCards({ of, deposit }: { of: readonly Copy[]; deposit: (copy: Copy) => void }) {
  if (of.length === 0) return null
  return (
    <ul className="rows" aria-label={text.wallet.cardsOutside}>
      {of.map((copy) => (
        <li key={copy.id}>
          <span className="what">
            <span>{copy.name}</span>
            <span className="muted small">{whichCopy(copy)}</span>
          </span>
          <Button
            onClick={() => deposit(copy)}
            aria-label={`${text.wallet.bringBack}: ${copy.name}, ${whichCopy(copy)}`}
          >
            {text.wallet.bringBack}
          </Button>
        </li>
      ))}
    </ul>
  )
}

interface SureProps {
  of: Wanted
  onClose: () => void
  sent: (sending: Sending) => void
}

/** All that the wallet is about to be asked to sign. Nothing is signed before. */
function Sure({ of: { wallet, what, prepared }, onClose, sent }: SureProps) {
  const t = text.wallet
  const lines = [
    [t.what, what],
    [t.fromAddress, prepared.wallet],
    [t.toAddress, prepared.destination],
    [t.networkFee, sol(prepared.fee)],
    ...(prepared.rent > 0 ? [[t.rent, sol(prepared.rent)] as const] : []),
  ] as const
  return (
    <Dialog title={t.sureDeposit} onClose={onClose}>
      <dl className="receipt">
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="muted small">{t.sureDepositAbout(wallet.name)}</p>
      <Form
        submit={t.signWith(wallet.name)}
        say={sayOf}
        onSubmit={async () => {
          const sending = await signAndSend(wallet, prepared)
          sent(sending)
          onClose()
        }}
        beside={<Button onClick={onClose}>{text.ui.cancel}</Button>}
      />
    </Dialog>
  )
}

function Progress({ of, arrived }: { of: Sending; arrived: () => void }) {
  const t = text.wallet.progress
  const [state, setState] = useState<keyof typeof t>('sent')
  // biome-ignore lint/correctness/useExhaustiveDependencies: `arrived` is another function each time
  useEffect(
    () =>
      watch(of, (next) => {
        setState(next)
        if (next === 'arrived') {
          toast(t.arrived)
          arrived()
        }
      }),
    [of],
  )
  return (
    <div role="status">
      <p>{t[state]}</p>
      <p className="muted small wrap">
        {text.wallet.signature}: <code>{of.signature}</code>
      </p>
    </div>
  )
}

function sayOf(error: unknown): string | undefined {
  if (error instanceof NothingChosen) return text.wallet.notMoney
  if (error instanceof RefusedByWallet) return text.wallet.depositRefused
  // What a wallet throws when one closes it is no error of ours.
  return error instanceof DOMException ? text.wallet.depositRefused : undefined
}
