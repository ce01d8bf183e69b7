import { useState } from 'react'
import { newKey } from '../server/key'
import { Problem } from '../server/problem'
import { rest, type Schema } from '../server/rest'
import { useSession } from '../session/use-session'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { attempt, toast } from '../ui/toast'

type Standing = Schema<'StandingItem'>

const ROLES = ['collector', 'seller', 'minter', 'moderator', 'admin', 'quota_exempt'] as const
type Role = (typeof ROLES)[number]

/** Who is suspended; and one user, by name: their suspension and their roles. */
export function Users({ suspended, changed }: { suspended: Standing[]; changed: () => void }) {
  const [found, setFound] = useState<Standing>()
  const now = (next: Standing) => {
    setFound(next)
    changed()
  }
  return (
    <div className="operation-page">
      <section className="panel operation-section">
        <h2>{text.moderation.find}</h2>
        <Form
          submit={text.moderation.look_up}
          say={(error) =>
            error instanceof Problem && error.code === 'not_found' ? text.moderation.noUser : undefined
          }
          onSubmit={async (value) => {
            setFound(undefined)
            setFound(await standingOf(value('username').trim()))
          }}
        >
          <Field name="username" label={text.moderation.username} maxLength={64} />
        </Form>
      </section>
      {found && <One key={found.id} of={found} now={now} />}
      <section className="panel operation-section">
        <h2>{text.moderation.suspended}</h2>
        {suspended.length === 0 ? (
          <p className="muted">{text.moderation.noSuspended}</p>
        ) : (
          <ul className="rows" aria-label={text.moderation.suspended}>
            {suspended.map((one) => (
              <li key={one.id}>
                <span className="what">
                  <span>{one.username}</span>
                  <span className="muted small">{one.suspension?.reason}</span>
                  <Until of={one} />
                </span>
                <Button
                  onClick={() => void attempt(async () => setFound(await standingOf(one.username)))}
                  aria-label={`${text.moderation.look}: ${one.username}`}
                >
                  {text.moderation.look}
                </Button>
              </li>
            ))}
          </ul>
        )}
      </section>
    </div>
  )
}

const standingOf = (username: string) => rest('get', '/admin/users/{username}/roles', { path: { username } })

function Until({ of }: { of: Standing }) {
  if (of.suspension === null) return null
  const { until } = of.suspension
  return (
    <span className="muted small">
      {until === null ? text.moderation.suspendedForEver : text.moderation.suspendedUntil(moment(until))}
    </span>
  )
}

function One({ of, now }: { of: Standing; now: (next: Standing) => void }) {
  const username = of.username
  // A moderator may not: the server refuses it.
  const mayGrant = useSession()?.roles.includes('admin')
  const reinstate = () =>
    attempt(async () => {
      now(await rest('post', '/admin/users/{username}/reinstate', { path: { username }, key: newKey() }))
      toast(text.moderation.reinstated(username))
    })
  return (
    <section className="panel operation-section" aria-label={username}>
      <h2>{username}</h2>
      {of.suspension === null ? (
        <Suspend of={of} now={now} />
      ) : (
        <>
          <p className="quote">{of.suspension.reason}</p>
          <Until of={of} />
          <div className="buttons">
            <Button onClick={() => void reinstate()}>{text.moderation.reinstate}</Button>
          </div>
        </>
      )}
      {mayGrant && <Roles of={of} now={now} />}
    </section>
  )
}

function Suspend({ of, now }: { of: Standing; now: (next: Standing) => void }) {
  const username = of.username
  return (
    <>
      <p className="muted small">{text.moderation.suspendAbout}</p>
      <Form
        kind="warn"
        submit={text.moderation.suspend}
        onSubmit={async (value) => {
          const until = value('until') === '' ? null : new Date(value('until')).getTime()
          const body = { reason: value('reason'), until }
          now(
            await rest('post', '/admin/users/{username}/suspend', {
              path: { username },
              body,
              key: newKey(),
            }),
          )
          toast(text.moderation.nowSuspended(username))
        }}
      >
        <Field name="reason" label={text.moderation.reason} maxLength={500} autoCapitalize="sentences" />
        <Field
          name="until"
          type="datetime-local"
          label={text.moderation.until}
          hint={text.moderation.untilHint}
          required={false}
        />
      </Form>
    </>
  )
}

function Roles({ of, now }: { of: Standing; now: (next: Standing) => void }) {
  const username = of.username
  const revoke = (role: Role) =>
    attempt(async () =>
      now(await rest('delete', '/admin/users/{username}/roles/{role}', { path: { username, role } })),
    )
  const missing = ROLES.filter((role) => !of.roles.includes(role))
  return (
    <>
      <h2>{text.moderation.roles}</h2>
      {of.roles.length === 0 && <p className="muted">{text.moderation.noRoles}</p>}
      <ul className="rows roles" aria-label={text.moderation.roles}>
        {of.roles.map((role) => (
          <li key={role}>
            <span className="what">{role}</span>
            <Button
              kind="quiet"
              onClick={() => void revoke(role as Role)}
              aria-label={`${text.moderation.revoke}: ${role}`}
            >
              {text.moderation.revoke}
            </Button>
          </li>
        ))}
      </ul>
      {missing.length > 0 && (
        <Form
          submit={text.moderation.grant}
          onSubmit={async (value) => {
            const role = value('role') as Role
            now(await rest('put', '/admin/users/{username}/roles/{role}', { path: { username, role } }))
            toast(text.moderation.granted)
          }}
        >
          <label className="field">
            <span>{text.moderation.role}</span>
            <select name="role">
              {missing.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </select>
          </label>
        </Form>
      )}
    </>
  )
}
