import { useState } from 'react'
import { Countdown } from '../auction/countdown'
import { newKey } from '../server/key'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Form } from '../ui/form'
import { TextArea } from '../ui/text-area'
import { nameIn, type TradeState } from './negotiation'

interface Statement {
  by: string
  text: string
  evidence: string[]
}
interface Judged {
  upheld: boolean
  reason: string
}
interface Case {
  /** The first one is the complaint. */
  statements: Statement[]
  judgements: Judged[]
  overdue: boolean
  due_at?: number
  appeal?: Statement
}
type Verb = 'dispute' | 'respond' | 'appeal'

const WORDS_MAX = 1_000

/** The complaint about an executed trade, and what was said and decided about it; or the way to one. */
export function Dispute({ trade, now }: { trade: TradeState; now: number }) {
  const [doing, setDoing] = useState<Verb>()
  const found = trade.dispute as unknown as Case | undefined
  const mayBegin = trade.status === 'executed' && !found && now < (trade.dispute_until ?? 0)
  if (!found && !mayBegin) return null
  return (
    <section className="panel dispute">
      {found && <Course of={found} trade={trade} />}
      <div className="buttons">
        {mayBegin && <Button onClick={() => setDoing('dispute')}>{text.dispute.open}</Button>}
        {trade.status === 'disputed' && <Answers of={found} choose={setDoing} />}
      </div>
      {doing && <Words verb={doing} trade={trade.id} onClose={() => setDoing(undefined)} />}
    </section>
  )
}

function Answers({ of, choose }: { of: Case | undefined; choose: (verb: Verb) => void }) {
  if (!of) return null
  const judged = of.judgements.length > 0
  if (!judged) return <Button onClick={() => choose('respond')}>{text.dispute.respond}</Button>
  return of.appeal || of.judgements.length > 1 ? null : (
    <Button onClick={() => choose('appeal')}>{text.dispute.appeal}</Button>
  )
}

function Course({ of, trade }: { of: Case; trade: TradeState }) {
  return (
    <>
      <h2>{text.dispute.head}</h2>
      <dl className="course">
        {of.statements.map((one, place) => (
          <Said
            // biome-ignore lint/suspicious/noArrayIndexKey: they are only ever added to
            key={place}
            of={one}
            name={place === 0 ? text.dispute.by(nameIn(trade, one.by)) : nameIn(trade, one.by)}
          />
        ))}
        <Judgement of={of.judgements[0]} />
        {of.appeal && <Said of={of.appeal} name={text.dispute.appealBy(nameIn(trade, of.appeal.by))} />}
        <Judgement of={of.judgements[1]} />
      </dl>
      {of.overdue && <p>{text.dispute.overdue}</p>}
      {of.due_at !== undefined && trade.status === 'disputed' && (
        <p className="muted small">
          {text.dispute.due} <Countdown until={of.due_at} ended={text.trades.over} />
        </p>
      )}
    </>
  )
}

/** The first one, or the one on appeal. */
function Judgement({ of }: { of: Judged | undefined }) {
  if (!of) return null
  return (
    <div>
      <dt>{of.upheld ? text.dispute.upheld : text.dispute.rejected}</dt>
      <dd>{of.reason}</dd>
    </div>
  )
}

function Said({ of, name }: { of: Statement; name: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {of.text}
        {of.evidence.map((one) => (
          <span key={one} className="muted small evidence">
            {one}
          </span>
        ))}
      </dd>
    </div>
  )
}

interface WordsProps {
  verb: Verb
  trade: string
  onClose: () => void
}

function Words({ verb, trade, onClose }: WordsProps) {
  const texts = {
    dispute: { title: text.dispute.title, label: text.dispute.reason, submit: text.dispute.send },
    respond: { title: text.dispute.respond, label: text.dispute.statement, submit: text.dispute.respond },
    appeal: { title: text.dispute.appeal, label: text.dispute.appealReason, submit: text.dispute.appeal },
  }[verb]
  // One intention has one key: what is sent again after an unknown outcome counts once.
  const [key] = useState(newKey)
  const send = async (words: string, evidence: string[]) => {
    const path = { trade }
    if (verb === 'dispute')
      await rest('post', '/trades/{trade}/dispute', { path, key, body: { reason: words, evidence } })
    if (verb === 'respond')
      await rest('post', '/trades/{trade}/respond', { path, key, body: { text: words, evidence } })
    if (verb === 'appeal')
      await rest('post', '/trades/{trade}/appeal', { path, key, body: { reason: words } })
  }
  return (
    <Dialog title={texts.title} onClose={onClose}>
      {verb === 'dispute' && <p>{text.dispute.about}</p>}
      <Form
        submit={texts.submit}
        onSubmit={async (values) => {
          const evidence = values('evidence')
            .split('\n')
            .map((line) => line.trim())
            .filter(Boolean)
          await send(values('reason'), evidence)
          onClose()
        }}
      >
        <TextArea name="reason" label={texts.label} maxLength={WORDS_MAX} required />
        {verb !== 'appeal' && (
          <TextArea name="evidence" label={text.dispute.evidence} hint={text.dispute.evidenceHint} />
        )}
      </Form>
    </Dialog>
  )
}
