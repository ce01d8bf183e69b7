import { useState } from 'react'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { TextArea } from '../ui/text-area'
import { toast } from '../ui/toast'
import { Reversal } from './reversal'

type Trade = Schema<'TradeItem'>
interface Statement {
  by: string
  text: string
  evidence: string[]
}
/** Of a trade's state: docs/protocol.md, Trades. The first statement is the complaint. */
interface Dispute {
  statements: Statement[]
  judgements: { upheld: boolean; reason: string }[]
  appeal?: Statement
}
/** The server leaves out what is not given. */
interface Leg {
  giver: string
  receiver: string
  copies?: string[]
  money?: number
}

const STAGES = ['responses', 'judgement', 'appeal', 'second_judgement'] as const
type Stage = (typeof STAGES)[number]
const DECIDABLE = ['judgement', 'second_judgement']

/** Open disputes of trades, the decision on one, and the reversal of a trade that nobody disputes. */
export function Disputes() {
  return (
    <div className="operation-page">
      <Open />
      <section className="panel operation-section">
        <div>
          <h2>{text.moderation.reverseTitle}</h2>
          <p className="muted small">{text.moderation.reverseAbout}</p>
        </div>
        <Reversal />
      </section>
    </div>
  )
}

function Open() {
  const [shown, setShown] = useState<Trade>()
  const [stage, setStage] = useState<Stage | null>(null)
  const disputes = usePages(
    (cursor) => rest('get', '/admin/trades/disputes', { query: { stage, cursor } }),
    [stage],
  )
  return (
    <section className="panel operation-section">
      <div className="section-head">
        <h2>{text.moderation.disputes}</h2>
        <StageFilter chosen={stage} choose={setStage} />
      </div>
      <List of={disputes} name={text.moderation.disputes} empty={<None />}>
        {(trade) => (
          <li key={trade.id}>
            <span className="what">
              <span>
                {text.moderation.between(namesOf(trade))} <StageTag of={trade.stage} />
              </span>
              <span className="muted small">{moment(trade.updated_at)}</span>
            </span>
            <Button
              onClick={() => setShown(trade)}
              aria-label={`${text.moderation.look}: ${text.moderation.between(namesOf(trade))}`}
            >
              {text.moderation.look}
            </Button>
          </li>
        )}
      </List>
      {shown && (
        <One
          trade={shown}
          close={() => setShown(undefined)}
          decided={() => {
            disputes.change((items) => items.filter(({ id }) => id !== shown.id))
            setShown(undefined)
          }}
        />
      )}
    </section>
  )
}

const namesOf = (trade: Trade) => trade.parties.map(({ username }) => username).join(', ')

function StageFilter({ chosen, choose }: { chosen: Stage | null; choose: (stage: Stage | null) => void }) {
  return (
    <label className="field">
      <span>{text.moderation.stage}</span>
      <select
        value={chosen ?? ''}
        onChange={({ target }) => choose(STAGES.find((one) => one === target.value) ?? null)}
      >
        <option value="">{text.moderation.allStages}</option>
        {STAGES.map((one) => (
          <option key={one} value={one}>
            {text.moderation.stages[one]}
          </option>
        ))}
      </select>
    </label>
  )
}

function StageTag({ of }: { of: string | null }) {
  const names = text.moderation.stages as Record<string, string>
  return of === null ? null : <span className="tag first warn">{names[of] ?? of}</span>
}

function None() {
  return (
    <Empty title={text.moderation.noDisputes}>
      <p className="muted">{text.moderation.noDisputesText}</p>
    </Empty>
  )
}

function One({ trade, close, decided }: { trade: Trade; close: () => void; decided: () => void }) {
  const path = { trade: trade.id }
  const state = useLoaded((signal) => rest('get', '/trades/{trade}', { path, signal }), [trade.id])
  const messages = useLoaded(
    (signal) => rest('get', '/trades/{trade}/messages', { path, signal }),
    [trade.id],
  )
  const name = (id: string) => trade.parties.find((party) => party.id === id)?.username ?? id
  return (
    <Dialog title={text.moderation.between(namesOf(trade))} onClose={close}>
      <div className="operation-section">
        <Shown of={state}>
          {(found) => (
            <>
              <Legs of={found.legs as unknown as Leg[]} name={name} />
              <Said of={(found as { dispute?: Dispute }).dispute} name={name} />
            </>
          )}
        </Shown>
        <h3>{text.moderation.messages}</h3>
        <Shown of={messages}>
          {({ items }) =>
            items.length === 0 ? (
              <p className="muted">{text.moderation.noMessages}</p>
            ) : (
              <ul className="rows" aria-label={text.moderation.messages}>
                {items.map((one) => (
                  <li key={one.seq}>
                    <span className="what">
                      <span className="muted small">
                        {name(one.by)} · {moment(one.at)}
                      </span>
                      <span className="quote">{one.text}</span>
                    </span>
                  </li>
                ))}
              </ul>
            )
          }
        </Shown>
        {DECIDABLE.includes(trade.stage ?? '') ? (
          <Decision trade={trade.id} decided={decided} />
        ) : (
          <p className="muted">{text.moderation.notNow}</p>
        )}
        {state.value !== undefined && isProtected(state.value) && (
          <details>
            <summary>{text.moderation.reverseTitle}</summary>
            <p className="muted small">{text.moderation.reverseNow}</p>
            <Reversal trade={trade.id} done={decided} />
          </details>
        )}
      </div>
    </Dialog>
  )
}

const isProtected = ({ protected_until, server_time }: Schema<'TradeState'>) =>
  Number(server_time) < Number(protected_until ?? 0)

function Legs({ of, name }: { of: Leg[]; name: (id: string) => string }) {
  return (
    <ul>
      {of.map(({ giver, receiver, copies = [], money: paid = 0 }) => (
        <li key={giver + receiver}>
          {text.moderation.gives(name(giver), name(receiver))}:{' '}
          {[copies.length > 0 && text.moderation.copies(copies.length), paid > 0 && money(paid)]
            .filter(Boolean)
            .join(' + ')}
        </li>
      ))}
    </ul>
  )
}

function Said({ of, name }: { of: Dispute | undefined; name: (id: string) => string }) {
  if (of === undefined) return null
  return (
    <>
      {of.statements.map((one, place) => (
        <Words
          key={one.by + one.text}
          title={
            place === 0
              ? `${text.moderation.complaint}: ${name(one.by)}`
              : text.moderation.statement(name(one.by))
          }
          of={one}
        />
      ))}
      {of.judgements.map(({ upheld, reason }) => (
        <div key={reason}>
          <h3>
            {text.moderation.decision}: {upheld ? text.moderation.uphold : text.moderation.reject}
          </h3>
          <p className="quote">{reason}</p>
        </div>
      ))}
      {of.appeal && <Words title={text.moderation.appealBy(name(of.appeal.by))} of={of.appeal} />}
    </>
  )
}

function Words({ title, of }: { title: string; of: Statement }) {
  return (
    <div>
      <h3>{title}</h3>
      <p className="quote">{of.text}</p>
      <Evidence of={of.evidence} />
    </div>
  )
}

/** As text: addresses of others are not to be followed by a careless press. */
function Evidence({ of }: { of: readonly string[] }) {
  if (of.length === 0) return null
  return (
    <p className="muted small">
      {text.moderation.evidence}: {of.join(', ')}
    </p>
  )
}

function Decision({ trade, decided }: { trade: string; decided: () => void }) {
  const [key] = useState(newKey)
  return (
    <Form
      submit={text.moderation.decide}
      onSubmit={async (value) => {
        const body = { upheld: value('upheld') === 'yes', reason: value('reason') }
        await rest('post', '/admin/trades/{trade}/judge', { path: { trade }, body, key })
        toast(text.moderation.decided)
        decided()
      }}
    >
      <fieldset>
        <legend className="field">{text.moderation.decision}</legend>
        <label className="choice">
          <input type="radio" name="upheld" value="yes" required />
          {text.moderation.uphold}
        </label>
        <label className="choice">
          <input type="radio" name="upheld" value="no" />
          {text.moderation.reject}
        </label>
      </fieldset>
      <TextArea
        name="reason"
        label={text.moderation.reason}
        hint={text.moderation.reasonHint}
        maxLength={500}
        required
      />
    </Form>
  )
}
