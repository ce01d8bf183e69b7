import { useState } from 'react'
import { Avatar } from '../profile/avatar'
import { navigate } from '../router'
import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { useThrottled } from '../ui/use-throttled'
import { namePart } from './names'

interface User {
  username: string
  display_name?: string | null
  avatar?: string | null
}

class Myself extends Error {}

const ASKED_EVERY_MS = 250
const FOLLOWED_MAX = 20

/** With whom: by the beginning of the name, or one of those whom one follows. `to`: where a choice leads. */
export function Partner({ to }: { to: (username: string) => string }) {
  const me = useSession()?.username
  const [typed, setTyped] = useState('')
  const part = useThrottled(namePart(typed), ASKED_EVERY_MS)
  return (
    <section className="partner">
      <h2>{text.compose.who}</h2>
      <Form
        submit={text.compose.find}
        say={(error) => {
          if (error instanceof Myself) return text.compose.self
          return error instanceof Problem && error.status === 404 ? text.compose.noUser : undefined
        }}
        onSubmit={async (values) => {
          const username = values('username').trim().replace(/^@/, '')
          if (username.toLowerCase() === me?.toLowerCase()) throw new Myself()
          const found = await rest('get', '/users/{username}', { path: { username } })
          navigate(to(found.username))
        }}
      >
        <Field
          name="username"
          label={text.compose.username}
          hint={text.compose.findHint}
          maxLength={31}
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </Form>
      {part === undefined ? <Followed to={to} /> : <Found part={part} to={to} />}
    </section>
  )
}

function Found({ part, to }: { part: string; to: (username: string) => string }) {
  const found = useLoaded((signal) => rest('get', '/users', { query: { q: part }, signal }), [part])
  return (
    <div aria-live="polite">
      <Shown of={found}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">{text.compose.nobody(part)}</p>
          ) : (
            <Users name={text.compose.found(items.length)} of={items} to={to} />
          )
        }
      </Shown>
    </div>
  )
}

function Followed({ to }: { to: (username: string) => string }) {
  const followed = useLoaded(
    (signal) => rest('get', '/users/me/following', { query: { limit: FOLLOWED_MAX }, signal }),
    [],
  )
  return (
    <Shown of={followed}>
      {({ items }) =>
        items.length === 0 ? (
          <div className="notice">
            <p>{text.compose.elsewhere}</p>
            <Link className="button" href="/browse">
              {text.compose.toCards}
            </Link>
          </div>
        ) : (
          <Users name={text.compose.followed} of={items} to={to} />
        )
      }
    </Shown>
  )
}

function Users({ name, of, to }: { name: string; of: readonly User[]; to: (username: string) => string }) {
  return (
    <>
      <h3>{name}</h3>
      <ul className="rows users" aria-label={name}>
        {of.map(({ username, display_name, avatar }) => (
          <li key={username}>
            <Link href={to(username)}>
              <Avatar of={{ username, avatar: avatar ?? null }} />
              <span className="what">
                <strong>{display_name ?? username}</strong>
                {display_name && <span className="muted small">@{username}</span>}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  )
}
