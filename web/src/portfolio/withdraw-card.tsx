import '../styles/wallet.css'
import { useRef, useState } from 'react'
import { CopyTile } from '../card/copy-tile'
import { useIntention } from '../server/intention'
import { type Copy, rest } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { toast } from '../ui/toast'
import { Compared, DestinationFields } from '../wallet/destination'
import { type Destination, destinationOf, refusalOf } from '../wallet/withdrawal'

interface Props {
  copy: Copy
  onClose: () => void
  done: () => void
}

/** To one of the linked wallets, or to an address that is typed: asked once more, with the whole of it. */
export function WithdrawCard({ copy, onClose, done }: Props) {
  const wallets = useLoaded((signal) => rest('get', '/wallets', { signal }), [])
  const [to, setTo] = useState<Destination>()
  const intention = useIntention()
  const choice = useRef<HTMLDivElement>(null)
  const back = () => {
    setTo(undefined)
    requestAnimationFrame(() => choice.current?.querySelector('input')?.focus())
  }
  const say = text.portfolio
  return (
    <Dialog title={say.withdrawTitle} onClose={onClose}>
      <CopyTile copy={copy} />
      <p>{say.withdrawAbout}</p>
      <Shown of={wallets}>
        {({ links }) => (
          <>
            {/* Hidden, not gone: whoever goes back finds what was chosen. */}
            <div ref={choice} hidden={to !== undefined}>
              <Form
                submit={say.next}
                say={refusalOf}
                onSubmit={async (values) => setTo(destinationOf(values))}
              >
                <DestinationFields links={links} />
              </Form>
            </div>
            {to && (
              <Form
                submit={say.withdraw}
                say={refusalOf}
                onSubmit={async () => {
                  const body = { address: to.address }
                  const path = { copy_id: copy.id }
                  await intention.send(body, (key) =>
                    rest('post', '/wallets/cards/{copy_id}/withdraw', { path, key, body }),
                  )
                  toast(say.withdrawn)
                  done()
                }}
                beside={<Button onClick={back}>{say.change}</Button>}
              >
                <Lines to={to} />
                {!to.linked && <Compared />}
              </Form>
            )}
          </>
        )}
      </Shown>
    </Dialog>
  )
}

const focus = (shown: HTMLElement | null) => shown?.focus()

/** They have the focus when they come: the button that led to them is gone. */
function Lines({ to }: { to: Destination }) {
  const say = text.wallet
  return (
    <dl className="receipt" tabIndex={-1} ref={focus}>
      <div>
        <dt>{say.withdrawFee}</dt>
        <dd>{say.noFee}</dd>
      </div>
      <div>
        <dt>{to.linked ? say.linkedWallet : say.typedAddress}</dt>
        <dd>
          <code>{to.address}</code>
        </dd>
      </div>
    </dl>
  )
}
