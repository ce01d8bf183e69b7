import { useState } from 'react'
import { Section } from '../account/section'
import { type Intention, useIntention } from '../server/intention'
import { rest } from '../server/rest'
import { useBalance } from '../session/balance'
import { money, parseMoney, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { toast } from '../ui/toast'
import { Compared, DestinationFields } from './destination'
import { type Destination, destinationOf, refusalOf } from './withdrawal'

interface Wanted {
  amount: number
  to: Destination
}

class NotMoney extends Error {}

/** How much, and to which wallet. What arrives is shown before it is asked for. */
export function WithdrawMoney({ moved }: { moved: () => void }) {
  const available = useBalance()
  const wallets = useLoaded((signal) => rest('get', '/wallets', { signal }), [])
  const [wanted, setWanted] = useState<Wanted>()
  const intention = useIntention()
  return (
    <Section title={text.wallet.withdrawTitle} about={text.wallet.withdrawAbout}>
      {available !== undefined && <p className="number">{text.bid.available(money(available))}</p>}
      <Shown of={wallets}>
        {({ links, custodial }) => (
          <>
            {custodial.token_account === null && <p className="muted">{text.wallet.noChain}</p>}
            <Form
              submit={text.wallet.ask}
              say={(error) => (error instanceof NotMoney ? text.wallet.notMoney : refusalOf(error))}
              onSubmit={async (values) => {
                const amount = parseMoney(values('amount'))
                if (!amount) throw new NotMoney()
                setWanted({ amount, to: destinationOf(values) })
              }}
            >
              <Field
                name="amount"
                label={text.wallet.withdrawAmount}
                hint={text.wallet.noFeeHint}
                inputMode="decimal"
                autoComplete="off"
              />
              <DestinationFields key={links.map(({ address }) => address).join()} links={links} />
            </Form>
          </>
        )}
      </Shown>
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

/** Asked once more, with the whole address and what arrives there. */
function Sure({ of: { amount, to }, intention, moved, onClose }: SureProps) {
  const say = text.wallet
  return (
    <Dialog title={say.sure} onClose={onClose}>
      <dl className="receipt">
        <div>
          <dt>{say.youWithdraw}</dt>
          <dd className="number">{money(amount)}</dd>
        </div>
        <div>
          <dt>{say.withdrawFee}</dt>
          <dd>{say.noFee}</dd>
        </div>
        <div>
          <dt>{say.arrives}</dt>
          <dd className="number">
            <strong>{money(amount)}</strong>
          </dd>
        </div>
        <div>
          <dt>{to.linked ? say.linkedWallet : say.typedAddress}</dt>
          <dd>
            <code>{to.address}</code>
          </dd>
        </div>
      </dl>
      <Form
        submit={say.yes}
        say={refusalOf}
        onSubmit={async () => {
          const body = { amount, destination: to.address, currency: 'USDC' as const }
          await intention.send(body, (key) => rest('post', '/ledger/withdrawals', { key, body }))
          toast(say.asked)
          onClose()
          moved()
        }}
        beside={<Button onClick={onClose}>{text.ui.cancel}</Button>}
      >
        {!to.linked && <Compared />}
      </Form>
    </Dialog>
  )
}
