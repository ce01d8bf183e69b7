import '../styles/trades.css'
import '../styles/account.css'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { toast } from '../ui/toast'
import { Compose } from './compose'
import type { Side } from './negotiation'
import { Partner } from './partner'

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
      return {
        asked: `${copy} ${wanted}`,
        other,
        copy: found && { id: found.id, mine: owner === me?.username },
      }
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
        {({ asked, other, copy: chosen }) =>
          other && me && other.id !== me.id ? (
            <Offer key={asked} me={me.id} other={other} copy={chosen} />
          ) : (
            <Partner to={(username) => `/trades/new?with=${username}${copy ? `&copy=${copy}` : ''}`} />
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
      <div className="with">
        <p>{text.trades.with(other.username)}</p>
        <Link className="button quiet" href={copy?.mine ? `/trades/new?copy=${copy.id}` : '/trades/new'}>
          {text.compose.another}
        </Link>
      </div>
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
