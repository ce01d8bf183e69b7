import { useState } from 'react'
import { Countdown } from '../auction/countdown'
import { useIntention } from '../server/intention'
import { rest } from '../server/rest'
import { refreshBalance } from '../session/balance'
import { Link } from '../shell/link'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { AcceptWithCopies } from './accept-with-copies'
import { useCommand } from './commands'
import { type Amounts, amountOf, othersIn, sidesOf, type TradeState } from './negotiation'

interface Props {
  trade: TradeState
  me: string
  /** Without a connection nothing is decided on what one sees. */
  live: boolean
  counter: () => void
}

/** Where the trade is, and what one can do now. */
export function Actions(props: Props) {
  const { trade, me } = props
  // What can be done then stands in the dispute.
  if (trade.status === 'disputed') return null
  return (
    <section className="panel actions" aria-live="polite">
      <Steps trade={trade} me={me} />
      <Stage {...props} />
    </section>
  )
}

function Stage(props: Props) {
  const { status } = props.trade
  if (status === 'open') return <Open {...props} />
  if (status === 'agreed') return <Agreed {...props} />
  if (status === 'confirmed') return <p aria-busy="true">{text.trades.executing}</p>
  if (status === 'executed') return <Executed {...props} />
  if (status === 'disputed') return null
  return (
    <>
      <p>{text.trades.ended[status]}</p>
      <div className="buttons">
        <AgainLink {...props} />
      </div>
    </>
  )
}

function AgainLink({ trade, me }: Props) {
  const other = othersIn(trade, me)[0]
  if (!other) return null
  return (
    <Link className="button" href={`/trades/new?with=${other.username}`}>
      {text.trades.again}
    </Link>
  )
}

/** Each party, and whether it has accepted or confirmed: in words. */
function Steps({ trade, me }: { trade: TradeState; me: string }) {
  if (!['open', 'agreed'].includes(trade.status)) return null
  const agreed = trade.status === 'agreed'
  return (
    <ul className="steps" aria-label={text.trades.steps}>
      {trade.parties.map(({ id, username, accepted, confirmed }) => {
        const done = agreed ? confirmed : accepted
        const say = id === me ? text.trades.ownSteps : text.trades.otherSteps
        const said = agreed ? say[done ? 'confirmed' : 'waitsConfirm'] : say[done ? 'accepted' : 'waits']
        return (
          <li key={id} data-done={done}>
            <span aria-hidden="true">{done ? '✓' : '○'}</span>
            <span>
              <strong>{id === me ? text.trades.you : username}</strong> {said}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

function Open({ trade, me, live, counter }: Props) {
  const { busy, send } = useCommand()
  const [naming, setNaming] = useState(false)
  const intention = useIntention()
  const accepted = trade.parties.find(({ id }) => id === me)?.accepted ?? false
  const conditions = sidesOf(trade.legs, me).gives.flatMap((leg) => leg.conditions ?? [])
  const waiting = othersIn(trade, me)
    .filter((party) => !party.accepted)
    .map(({ username }) => username)
    .join(', ')
  const accept = (copies: string[], key: string) =>
    rest('post', '/trades/{trade}/accept', {
      path: { trade: trade.id },
      key,
      body: { hash: trade.hash, copies },
    })
  return (
    <>
      <p>
        {accepted
          ? text.trades.theirTurn(waiting)
          : text.trades.yourTurn(trade.parties.find(({ id }) => id === trade.by)?.username ?? '')}{' '}
        <span className="muted">{text.trades.notHeld}</span>
      </p>
      <div className="buttons">
        {!accepted && (
          <Button
            kind="primary"
            busy={busy === 'accept'}
            disabled={!live}
            onClick={() =>
              conditions.length > 0 ? setNaming(true) : void send('accept', (key) => accept([], key))
            }
          >
            {text.trades.accept}
          </Button>
        )}
        {trade.parties.length === 2 && (
          <Button disabled={!live} onClick={counter}>
            {text.trades.counter}
          </Button>
        )}
        <End
          trade={trade}
          label={trade.proposer === me ? text.trades.withdraw : text.trades.decline}
          live={live}
        />
      </div>
      <p className="muted small">
        {text.trades.expires} <Countdown until={trade.expires_at} ended={text.trades.over} />
      </p>
      {naming && (
        <AcceptWithCopies
          conditions={conditions}
          onClose={() => setNaming(false)}
          accept={async (copies) => {
            await intention.send([trade.hash, ...copies], (key) => accept(copies, key))
            setNaming(false)
          }}
        />
      )}
    </>
  )
}

function Agreed({ trade, me, live }: Props) {
  const { busy, send } = useCommand()
  const [sure, setSure] = useState(false)
  const confirmed = trade.parties.find(({ id }) => id === me)?.confirmed ?? false
  const { gives, gets } = sidesOf(trade.legs, me)
  const cooling = (trade.confirm_from ?? 0) > trade.server_time
  const confirm = async () => {
    const done = await send('confirm', (key) =>
      rest('post', '/trades/{trade}/confirm', { path: { trade: trade.id }, key, body: { hash: trade.hash } }),
    )
    setSure(false)
    if (done) void refreshBalance()
  }
  return (
    <>
      <p>{confirmed ? text.trades.confirmWait : text.trades.agreedText}</p>
      <div className="buttons">
        {!confirmed && (
          <Button kind="primary" disabled={!live} onClick={() => setSure(true)}>
            {text.trades.confirm}
          </Button>
        )}
        <End trade={trade} label={text.trades.cancelAgreed} live={live} />
      </div>
      <p className="muted small">
        {cooling && (
          <>
            {text.trades.coolDown} <Countdown until={trade.confirm_from ?? 0} ended={text.trades.over} /> ·{' '}
          </>
        )}
        {text.trades.confirmWithin} <Countdown until={trade.confirm_by ?? 0} ended={text.trades.over} />
      </p>
      {sure && (
        <Dialog title={text.trades.confirmTitle} onClose={() => setSure(false)}>
          <p>
            <strong>{text.trades.confirmGive(amountText(amountOf(gives)))}</strong>
            <br />
            <strong>{text.trades.confirmGet(amountText(amountOf(gets)))}</strong>
          </p>
          <p>{text.trades.confirmSure}</p>
          <div className="buttons">
            <Button kind="primary" busy={busy === 'confirm'} onClick={() => void confirm()}>
              {text.trades.confirmYes}
            </Button>
            <Button onClick={() => setSure(false)}>{text.ui.cancel}</Button>
          </div>
        </Dialog>
      )}
    </>
  )
}

/** `2 cards and $5.00` */
export function amountText({ copies, money: paid }: Amounts): string {
  if (copies > 0 && paid > 0) return text.trades.and(text.trades.cards(copies), money(paid))
  return paid > 0 ? money(paid) : text.trades.cards(copies)
}

function Executed({ trade }: Props) {
  return (
    <>
      <h2>{text.trades.executedTitle}</h2>
      <p>{text.trades.executedText}</p>
      <div className="buttons">
        <Link className="button primary" href="/portfolio">
          {text.trades.toPortfolio}
        </Link>
      </div>
      {trade.dispute_until !== undefined && (
        <p className="muted small">{text.trades.protectedUntil(moment(trade.dispute_until))}</p>
      )}
    </>
  )
}

/** Decline, withdraw or cancel: one command, and asked twice. */
function End({ trade, label, live }: { trade: TradeState; label: string; live: boolean }) {
  const { busy, send } = useCommand()
  const [sure, setSure] = useState(false)
  const end = async () => {
    await send('end', (key) => rest('post', '/trades/{trade}/decline', { path: { trade: trade.id }, key }))
    setSure(false)
    void refreshBalance()
  }
  return (
    <>
      <Button className="danger" disabled={!live} onClick={() => setSure(true)}>
        {label}
      </Button>
      {sure && (
        <Dialog title={`${label}?`} onClose={() => setSure(false)}>
          <p>{text.trades.declineSure}</p>
          <div className="buttons">
            <Button kind="warn" busy={busy === 'end'} onClick={() => void end()}>
              {label}
            </Button>
            <Button onClick={() => setSure(false)}>{text.trades.keep}</Button>
          </div>
        </Dialog>
      )}
    </>
  )
}
