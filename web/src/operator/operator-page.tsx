import '../styles/operation.css'
import { useEffect } from 'react'
import { rest, type Schema } from '../server/rest'
import { clockTime, count, text } from '../text/text'
import { useLoaded } from '../ui/loaded'
import { ChainPanel } from './chain-panel'
import { FailedJobs } from './failed-jobs'
import { StaffOnly } from './staff'
import { Table } from './table'

const POLL_MS = 5_000
// A host sends a heartbeat twice a second.
const SILENT_MS = 3_000
const MEGABYTE = 1_000_000

type Status = Schema<'EngineStatus'>

/** The engine as its operators see it. Each poll has the deadline of all requests. */
export default function OperatorPage() {
  const status = useLoaded((signal) => rest('get', '/admin/status', { signal }), [])
  const { value, error, again } = status
  // biome-ignore lint/correctness/useExhaustiveDependencies: the next poll comes after each answer, good or bad
  useEffect(() => {
    if (value === undefined) return
    const timer = setTimeout(again, POLL_MS)
    return () => clearTimeout(timer)
  }, [value, error, again])
  return (
    <div className="operation-page">
      <h1>{text.operation.title}</h1>
      <StaffOnly of={value === undefined ? status : { ...status, error: undefined }}>
        {(shown) => (
          <>
            <p
              className={error === undefined ? 'muted small' : 'fault'}
              role={error === undefined ? undefined : 'alert'}
            >
              {error === undefined
                ? text.operation.asOf(clockTime(shown.at))
                : text.operation.stale(clockTime(shown.at))}
            </p>
            <Parts of={shown} />
            <Hosts of={shown} />
            <FailedJobs dead={(shown.jobs ?? []).reduce((sum, { dead }) => sum + dead, 0)} />
            <Jobs of={shown} />
            <ChainPanel chain={shown.chain} exists={shown.has_chain} />
          </>
        )}
      </StaffOnly>
    </div>
  )
}

function Parts({ of }: { of: Status }) {
  const names = text.operation.partNames as Record<string, string>
  const states = text.operation.partStates as Record<string, string>
  return (
    <section className="panel" aria-label={text.operation.parts}>
      <dl className="key-figures">
        {Object.entries(of.parts).map(([part, { status, ms }]) => (
          <div key={part}>
            <dt>{names[part] ?? part}</dt>
            <dd>
              <span className={status === 'ok' ? 'tag first good' : 'tag first bad'}>
                {states[status] ?? status}
              </span>
              {typeof ms === 'number' && (
                <span className="muted small number"> {text.operation.took(count(ms))}</span>
              )}
            </dd>
          </div>
        ))}
        <div>
          <dt>{text.operation.sessions}</dt>
          <dd className="number">
            {of.sessions === null ? text.operation.notRead : text.operation.sessionsOpen(count(of.sessions))}
          </dd>
        </div>
      </dl>
    </section>
  )
}

function Hosts({ of }: { of: Status }) {
  const t = text.operation
  return (
    <Table
      title={t.hosts}
      heads={[t.host, t.slots, t.entities, t.orders, t.commit, t.inbox, t.memory]}
      rows={of.hosts?.map((host) => {
        const silent = of.at - host.alive_at
        const dedicated = host.dedicated > 0 ? `, ${t.dedicated(count(host.dedicated))}` : ''
        return {
          key: host.id,
          cells: [
            <>
              {host.id}{' '}
              {silent > SILENT_MS ? (
                <span className="tag first bad">{t.silent(count(Math.round(silent / 1000)))}</span>
              ) : (
                <span className="tag first good">{t.alive}</span>
              )}
            </>,
            count(host.slots),
            `${count(host.entities)}${dedicated}`,
            count(Math.round(host.orders_rate)),
            t.took(count(host.commit_ms)),
            `${count(host.inbox)} / ${count(host.inbox_max)}`,
            t.megabytes(count(Math.round(host.rss_bytes / MEGABYTE))),
          ],
        }
      })}
      empty={t.noHosts}
    />
  )
}

function Jobs({ of }: { of: Status }) {
  const t = text.operation
  return (
    <Table
      title={t.jobs}
      heads={[t.kind, t.waiting, t.running, t.dead, t.oldest]}
      rows={of.jobs?.map((one) => ({
        key: one.kind,
        cells: [
          one.kind,
          count(one.waiting),
          count(one.running),
          count(one.dead),
          t.seconds(count(Math.round(one.oldest_due_ms / 1000))),
        ],
      }))}
      empty={t.noJobs}
    />
  )
}
