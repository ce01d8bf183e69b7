import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { moment, money, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { kindText, signedMoney } from './entry-text'
import { EntryReceipt } from './receipt'

export type Entry = Schema<'EntryItem'>
const KINDS = [
  'deposit',
  'withdrawal',
  'sale',
  'fee',
  'royalty',
  'sale_refund',
  'fee_refund',
  'royalty_refund',
  'trade',
  'trade_fee',
  'trade_royalty',
  'trade_refund',
  'trade_fee_refund',
  'trade_royalty_refund',
] as const

interface Filter {
  kind: string
  from: string
  until: string
}

/** Each entry of one's account, the newest first, with its receipt. */
export function Ledger({ changes }: { changes: number }) {
  const [filter, setFilter] = useState<Filter>({ kind: '', from: '', until: '' })
  const [shown, setShown] = useState<Entry>()
  const since = dayStart(filter.from)
  const until = dayStart(filter.until, 1)
  const pages = usePages(
    (cursor) =>
      rest('get', '/ledger/entries', { query: { kind: filter.kind || null, since, until, cursor } }),
    [filter.kind, since, until, changes],
  )
  const filtered = filter.kind !== '' || since !== null || until !== null
  return (
    <>
      <Filters of={filter} change={setFilter} since={since} until={until} />
      <List of={pages} name={text.wallet.tabs.ledger} empty={<None filtered={filtered} />}>
        {(entry) => (
          <li key={entry.seq} className="entry">
            <span className="what">
              <span>
                {kindText(entry.kind)}{' '}
                {entry.action !== 'transfer' && (
                  <span className="muted small">{text.wallet.actions[entry.action]}</span>
                )}
              </span>
              <span className="muted small">{moment(entry.at)}</span>
            </span>
            <span className="right number">
              <strong>{entry.amount === 0 ? money(entry.size) : signedMoney(entry.amount)}</strong>
              <span className="label">
                {text.wallet.balanceAfter}: {money(entry.posted)}
              </span>
            </span>
            <Button
              kind="quiet"
              onClick={() => setShown(entry)}
              aria-label={`${text.wallet.receiptOf(kindText(entry.kind))}, ${moment(entry.at)}`}
            >
              {text.wallet.receipt}
            </Button>
          </li>
        )}
      </List>
      {shown && <EntryReceipt entry={shown} onClose={() => setShown(undefined)} />}
    </>
  )
}

/** When a day that was chosen begins here, in ms; null where none was. */
export function dayStart(chosen: string, daysLater = 0): number | null {
  if (!chosen) return null
  const date = new Date(`${chosen}T00:00`)
  date.setDate(date.getDate() + daysLater)
  return Number.isNaN(date.getTime()) ? null : date.getTime()
}

interface FiltersProps {
  of: Filter
  change: (filter: Filter) => void
  since: number | null
  until: number | null
}

function Filters({ of, change, since, until }: FiltersProps) {
  const times = [since !== null && `since=${since}`, until !== null && `until=${until}`].filter(Boolean)
  return (
    <div className="field-row ledger-filters">
      <label className="field">
        {text.wallet.kind}
        <select value={of.kind} onChange={(event) => change({ ...of, kind: event.target.value })}>
          <option value="">{text.wallet.allKinds}</option>
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {text.wallet.kinds[kind]}
            </option>
          ))}
        </select>
      </label>
      {(['from', 'until'] as const).map((end) => (
        <label className="field" key={end}>
          {text.wallet[end]}
          <input
            type="date"
            value={of[end]}
            onChange={(event) => change({ ...of, [end]: event.target.value })}
          />
        </label>
      ))}
      <a className="button" href={`/api/v1/ledger/statement?${times.join('&')}`} download>
        {text.wallet.statement}
      </a>
    </div>
  )
}

function None({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title={text.wallet.noneThen} />
  return (
    <Empty title={text.wallet.noEntries}>
      <p className="muted">{text.wallet.noEntriesText}</p>
    </Empty>
  )
}
