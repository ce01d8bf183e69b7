import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { moment, text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'

interface Filter {
  action?: string | null
  actor?: string | null
  subject?: string | null
  since?: number | null
  until?: number | null
}

/** Who did what from where, and whether the trail is as it was written. */
export function AuditTrail() {
  const [filter, setFilter] = useState<Filter>({})
  const state = useLoaded((signal) => rest('get', '/admin/audit/check', { signal }), [])
  const entries = usePages(
    (cursor) => rest('get', '/admin/audit', { query: { ...filter, cursor } }),
    [filter],
  )
  return (
    <section className="panel operation-section">
      <h2>{text.moderation.audit}</h2>
      <Shown of={state}>{(found) => <Verified of={found} />}</Shown>
      <Form
        submit={text.moderation.filter}
        onSubmit={async (value) => {
          const given = (name: string) => value(name).trim() || null
          const time = (name: string) => (value(name) === '' ? null : new Date(value(name)).getTime())
          setFilter({
            action: given('action'),
            actor: given('actor'),
            subject: given('subject'),
            since: time('since'),
            until: time('until'),
          })
        }}
      >
        <div className="filters">
          <Field name="action" label={text.moderation.action} maxLength={64} required={false} />
          <Field name="actor" label={text.moderation.actor} pattern="[0-9a-v]{13}" required={false} />
          <Field name="subject" label={text.moderation.subject} maxLength={200} required={false} />
          <Field name="since" label={text.moderation.since} type="datetime-local" required={false} />
          <Field name="until" label={text.moderation.untilDay} type="datetime-local" required={false} />
        </div>
      </Form>
      <List of={entries} name={text.moderation.audit} empty={<Empty title={text.moderation.noEntries} />}>
        {(entry) => (
          <li key={entry.id}>
            <span className="what">
              <span>
                <code>{entry.action}</code> {entry.subject}
              </span>
              <span className="muted small">
                {[moment(entry.at), entry.actor ?? entry.actor_id ?? text.moderation.system, entry.address]
                  .filter(Boolean)
                  .join(' · ')}
              </span>
              <Details of={entry.details} />
            </span>
          </li>
        )}
      </List>
    </section>
  )
}

function Verified({ of }: { of: Schema<'AuditState'> }) {
  if (of.findings.length > 0)
    return (
      <div role="alert">
        <p className="fault">{text.moderation.broken(of.findings.length)}</p>
        <ul>
          {of.findings.map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
      </div>
    )
  return (
    <p className="muted small">
      {of.at === null ? text.moderation.unverified : text.moderation.verified(moment(of.at))}
    </p>
  )
}

function Details({ of }: { of: Schema<'AuditItem'>['details'] }) {
  const parts = Object.entries(of).filter(([, value]) => value !== null)
  if (parts.length === 0) return null
  return <span className="muted small">{parts.map(([name, value]) => `${name}: ${value}`).join(' · ')}</span>
}
