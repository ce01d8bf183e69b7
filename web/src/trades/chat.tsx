import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import { useServerNow } from '../auction/now'
import { socket } from '../connection'
import { rest, type Schema } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { usePages } from '../ui/pages'
import { useCommand } from './commands'
import { type Negotiation, nameIn, type TradeState } from './negotiation'

const LENGTH_MAX = 1_000
const TYPING_EVERY_MS = 2_000

interface Props {
  trade: TradeState
  typing: Negotiation['typing']
  me: string
}

/** What the parties write to each other. */
export function Chat({ trade, typing, me }: Props) {
  const list = useRef<HTMLOListElement>(null)
  const count = trade.messages_count
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new message is shown
  useEffect(() => {
    const shown = list.current
    if (shown) shown.scrollTop = shown.scrollHeight
  }, [count])
  return (
    <section className="panel chat">
      <h2>{text.trades.chat}</h2>
      {trade.messages_count > trade.messages.length && <Older trade={trade} me={me} />}
      {trade.messages.length === 0 ? (
        <p className="muted">{text.trades.noMessages}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <ol className="messages" ref={list} tabIndex={0} aria-label={text.trades.chat} aria-live="polite">
          {trade.messages.map((message) => (
            <Message key={message.number} of={message} trade={trade} me={me} />
          ))}
        </ol>
      )}
      <Typing trade={trade} typing={typing} me={me} />
      <Composer trade={trade.id} />
    </section>
  )
}

function Message({
  of: { by, text: words },
  trade,
  me,
}: {
  of: Pick<Schema<'MessageItem'>, 'by' | 'text'>
  trade: TradeState
  me: string
}) {
  return (
    <li className={by === me ? 'message own' : 'message'}>
      <span className="label">{by === me ? text.trades.you : nameIn(trade, by)}</span>
      <span className="words">{words}</span>
    </li>
  )
}

/** All that a state does not have: asked for when it is wanted. */
function Older({ trade, me }: { trade: TradeState; me: string }) {
  const [wanted, setWanted] = useState(false)
  const older = trade.messages_count - trade.messages.length
  if (!wanted)
    return (
      <Button kind="quiet" onClick={() => setWanted(true)}>
        {text.trades.older(older)}
      </Button>
    )
  return <OlderMessages trade={trade} me={me} before={trade.messages[0]?.number ?? 0} />
}

function OlderMessages({ trade, me, before }: { trade: TradeState; me: string; before: number }) {
  const pages = usePages(
    (cursor) =>
      rest('get', '/trades/{trade}/messages', { path: { trade: trade.id }, query: { cursor, limit: 100 } }),
    [trade.id],
  )
  return (
    <ol className="messages" aria-label={text.trades.older(before - 1)}>
      {(pages.items ?? [])
        .filter(({ number }) => number < before)
        .map((message) => (
          <Message key={message.number} of={message} trade={trade} me={me} />
        ))}
      {pages.more && (
        <li>
          <Button kind="quiet" busy={pages.busy} onClick={pages.more}>
            {text.ui.more}
          </Button>
        </li>
      )}
    </ol>
  )
}

function Typing({ trade, typing, me }: Props) {
  const until = Math.max(0, ...Object.values(typing))
  const now = useServerNow(until)
  const names = Object.entries(typing)
    .filter(([id, end]) => id !== me && end > now)
    .map(([id]) => nameIn(trade, id))
  return <p className="typing muted small">{names.length > 0 && text.trades.types(names.join(', '))}</p>
}

function Composer({ trade }: { trade: string }) {
  const [words, setWords] = useState('')
  const { busy, send } = useCommand()
  const told = useRef(0)
  const id = useId()
  const change = (typed: string) => {
    setWords(typed)
    const now = performance.now()
    if (now - told.current < TYPING_EVERY_MS) return
    told.current = now
    socket.typing(trade)
  }
  const say = async () => {
    const said = words.trim()
    if (!said) return
    const body = { text: said }
    if (await send('say', (key) => rest('post', '/trades/{trade}/messages', { path: { trade }, key, body })))
      setWords('')
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    void say()
  }
  return (
    <form
      className="say"
      onSubmit={(event) => {
        event.preventDefault()
        void say()
      }}
    >
      <div className="field">
        <label className="visually-hidden" htmlFor={id}>
          {text.trades.message}
        </label>
        <textarea
          id={id}
          rows={2}
          value={words}
          maxLength={LENGTH_MAX}
          placeholder={text.trades.message}
          onChange={(event) => change(event.target.value)}
          onKeyDown={pressed}
        />
      </div>
      <Button type="submit" kind="primary" busy={busy === 'say'} disabled={!words.trim()}>
        {text.trades.send}
      </Button>
    </form>
  )
}
