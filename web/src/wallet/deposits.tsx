import { QrCode } from '../account/qr-code'
import { Section } from '../account/section'
import { rest } from '../server/rest'
import { count, moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { List, usePages } from '../ui/pages'
import { attempt, toast } from '../ui/toast'

/** Where to send money and cards on the chain, and what has arrived. */
export function Deposits() {
  const wallets = useLoaded((signal) => rest('get', '/wallets', { signal }), [])
  const pages = usePages((cursor) => rest('get', '/wallets/deposits', { query: { cursor } }), [])
  return (
    <>
      <Section title={text.wallet.depositTitle} about={text.wallet.depositAbout}>
        <Shown of={wallets}>
          {({ custodial }) => (
            <div className="deposit">
              <QrCode text={custodial.deposit_uri} label={text.wallet.qr} />
              <div>
                <Address of={custodial.address} name={text.wallet.address} />
                <p>{custodial.token_account === null ? text.wallet.noChain : text.wallet.onlyUsdc}</p>
                <p className="muted">{text.wallet.depositCards}</p>
              </div>
            </div>
          )}
        </Shown>
      </Section>
      <Section title={text.wallet.arrived}>
        <List of={pages} name={text.wallet.arrived} empty={<p className="muted">{text.wallet.noDeposits}</p>}>
          {(deposit) => (
            <li key={deposit.id}>
              <span className="what">
                <strong className="number">{money(deposit.amount)}</strong>
                <span className="muted small">
                  {moment(deposit.at)} · {text.wallet.slot(count(deposit.slot))}
                </span>
                <span className="muted small">
                  {text.wallet.signature}: <code>{deposit.signature}</code>
                </span>
              </span>
            </li>
          )}
        </List>
      </Section>
    </>
  )
}

function Address({ of, name }: { of: string; name: string }) {
  return (
    <div className="own-address">
      <span className="label">{name}</span>
      <code className="secret">{of}</code>
      <Button
        onClick={() =>
          void attempt(async () => {
            await navigator.clipboard.writeText(of)
            toast(text.ui.copied)
          })
        }
      >
        {text.ui.copy}
      </Button>
    </div>
  )
}
