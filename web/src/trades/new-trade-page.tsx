import '../styles/trades.css'
import '../styles/account.css'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { toast } from '../ui/toast'
import { Compose } from './compose'
import type { Side } from './negotiation'

const DAY_MS = 86_400_000

/** `?with=` a user, `?copy=` a copy that is wanted, or one's own that is offered. */
export default function NewTradePage({ query }: ScreenProps) {
  const me = useSession()
  const copy = query.get('copy')
  const wanted = query.get('with')
  const about = useLoaded(
    async (signal) => {
      const found = copy
        ? await rest('get', '/copies/{copy_id}', { path: { copy_id: copy }, signal })
        : undefined
      const owner = found?.owner ?? null
      const name = wanted ?? (owner === me?.username ? null : owner)
      const other = name
        ? await rest('get', '/users/{username}', { path: { username: name }, signal })
        : undefined
      return { other, copy: found && { id: found.id, mine: owner === me?.username } }
    },
    [copy, wanted, me?.id],
  )
  return (
    <div className="trade-new">
      <Link className="back" href="/trades">
        ← {text.trades.back}
      </Link>
      <h1>{text.trades.newTitle}</h1>
      <Shown of={about}>
        {({ other, copy: chosen }) =>
          other && me && other.id !== me.id ? (
            <Offer me={me.id} other={other} copy={chosen} />
          ) : (
            <Who me={me?.username} copy={copy} />
          )
        }
      </Shown>
    </div>
  )
}

interface OfferProps {
  me: string
  other: { id: string; username: string }
  copy: { id: string; mine: boolean } | undefined
}

function Offer({ me, other, copy }: OfferProps) {
  const side = (mine: boolean): Side => ({ copies: copy && copy.mine === mine ? [copy.id] : [], money: 0 })
  return (
    <>
      <p className="muted">{text.trades.with(other.username)}</p>
      <Compose
        me={me}
        other={other}
        gives={side(true)}
        gets={side(false)}
        submit={text.compose.send}
        withDays
        send={async ({ legs, message, days, key }) => {
          const body = { legs, message, expires_in_ms: days * DAY_MS }
          const { id } = await rest('post', '/trades', { key, body })
          toast(text.compose.sent)
          navigate(`/trades/${id}`)
        }}
      />
    </>
  )
}

/** With whom: asked where the address does not say it. */
function Who({ me, copy }: { me: string | undefined; copy: string | null }) {
  return (
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
        navigate(`/trades/new?with=${found.username}${copy ? `&copy=${copy}` : ''}`)
      }}
    >
      <h2>{text.compose.who}</h2>
      <Field name="username" label={text.compose.username} maxLength={31} autoComplete="off" />
    </Form>
  )
}

class Myself extends Error {}
