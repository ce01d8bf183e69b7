import '../styles/operation.css'
import { useState } from 'react'
import { Table } from '../operator/table'
import { rest } from '../server/rest'
import { count, moment, money, percent, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { Empty } from '../ui/notices'
import { Tabs } from '../ui/tabs'
import { DayChart } from './day-chart'
import { csvOf, DAY_MS, MEASURES, type Measure, type Report, utcDay } from './days'

const RANGES = ['7', '30', '90', '365'] as const

/** What one has bid, won and spent, by day. */
export default function AnalyticsPage() {
  const [range, setRange] = useState<(typeof RANGES)[number]>('30')
  const report = useLoaded(
    (signal) => {
      const to = Date.now()
      return rest('get', '/users/me/analytics', {
        query: { from: to - (Number(range) - 1) * DAY_MS, to },
        signal,
      })
    },
    [range],
  )
  const tabs = RANGES.map((key) => ({ key, title: text.analytics.days(Number(key)) }))
  return (
    <div className="operation-page">
      <h1>{text.analytics.title}</h1>
      <Tabs label={text.analytics.range} tabs={tabs} chosen={range} choose={setRange}>
        <Shown of={report}>{(shown) => <Figures of={shown} />}</Shown>
      </Tabs>
    </div>
  )
}

function Figures({ of }: { of: Report }) {
  const t = text.analytics
  const [measure, setMeasure] = useState<Measure>('bids')
  const names: Record<Measure, string> = { bids: t.bids, wins: t.wins, spent: t.spend, volume: t.volume }
  const rate = of.win_rate_bp === null ? '–' : percent(of.win_rate_bp)
  return (
    <div className="operation-page">
      <section className="panel" aria-label={t.title}>
        <dl className="key-figures">
          {(
            [
              [t.bids, count(of.total.bids)],
              [t.wins, count(of.total.wins)],
              [t.winRate, rate],
              [t.spend, money(of.total.spent)],
              [t.sold, money(of.total.gross)],
              [t.net, money(of.total.net)],
              [t.volume, money(of.total.volume)],
            ] as const
          ).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd className="number">{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <p className="muted small">{of.as_of === null ? t.rebuilding : t.asOf(moment(of.as_of))}</p>
      {of.days.length === 0 ? (
        <Empty title={t.none}>
          <p className="muted">{t.noneText}</p>
        </Empty>
      ) : (
        <>
          <section className="panel operation-section">
            <h2>{t.byDay(names[measure])}</h2>
            <Tabs
              label={t.measure}
              tabs={MEASURES.map((key) => ({ key, title: names[key] }))}
              chosen={measure}
              choose={setMeasure}
            >
              <DayChart report={of} measure={measure} name={names[measure]} />
            </Tabs>
            <p className="muted small">{t.keys}</p>
            <div className="buttons">
              <Button onClick={() => save(of)}>{t.export}</Button>
            </div>
          </section>
          <Table
            title={t.title}
            heads={[t.day, t.bids, t.wins, t.spend, t.volume]}
            rows={[...of.days].reverse().map((one) => ({
              key: String(one.day),
              cells: [utcDay(one.day), count(one.bids), count(one.wins), money(one.spent), money(one.volume)],
            }))}
            empty={t.none}
          />
        </>
      )}
    </div>
  )
}

function save(report: Report): void {
  const address = URL.createObjectURL(new Blob([csvOf(report)], { type: 'text/csv' }))
  const link = document.createElement('a')
  link.href = address
  link.download = `analytics-${new Date(report.to).toISOString().slice(0, 10)}.csv`
  link.click()
  URL.revokeObjectURL(address)
}
