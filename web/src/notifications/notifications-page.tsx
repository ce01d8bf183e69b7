import '../styles/account.css'
import { useEffect, useState } from 'react'
import { kindName } from '../account/notification-preferences'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { Tabs } from '../ui/tabs'
import { attempt } from '../ui/toast'
import { markRead, type Notification, onArrival, useUnread } from './inbox'

export default function NotificationsPage() {
  const [which, setWhich] = useState<'all' | 'unread'>('all')
  const [arrivals, setArrivals] = useState(0)
  useEffect(() => onArrival(() => setArrivals((count) => count + 1)), [])
  const pages = usePages(
    (cursor) => rest('get', '/notifications', { query: { unread: which === 'unread', cursor } }),
    [which, arrivals],
  )
  const unread = useUnread() ?? 0
  const read = async (which: Parameters<typeof markRead>[0], match: (one: Notification) => boolean) => {
    if (!(await attempt(() => markRead(which)))) return
    const now = Date.now()
    pages.change((items) => items.map((one) => (match(one) ? { ...one, read_at: one.read_at ?? now } : one)))
  }
  const tabs = [
    { key: 'all', title: text.notifications.all },
    { key: 'unread', title: text.notifications.unread },
  ] as const
  const newest = pages.items?.[0]?.seq
  return (
    <div className="account-page">
      <div className="page-head">
        <h1>{text.notifications.title}</h1>
        {unread > 0 && newest !== undefined && (
          <Button onClick={() => void read({ up_to: newest }, () => true)}>
            {text.notifications.readAll}
          </Button>
        )}
      </div>
      <Tabs label={text.notifications.title} tabs={tabs} chosen={which} choose={setWhich}>
        <List of={pages} name={text.notifications.title} empty={<None />}>
          {(one) => (
            <Item
              key={one.id}
              of={one}
              read={() => void read({ ids: [one.id] }, ({ id }) => id === one.id)}
            />
          )}
        </List>
      </Tabs>
    </div>
  )
}

function None() {
  return (
    <Empty title={text.notifications.none}>
      <p className="muted">{text.notifications.noneText}</p>
    </Empty>
  )
}

function Item({ of, read }: { of: Notification; read: () => void }) {
  const unread = of.read_at === null
  const { title, href } = subjectOf(of, useSession()?.username)
  return (
    <li className={unread ? 'unread' : ''}>
      <span className="what">
        <span>
          {unread && <span className="visually-hidden">{text.notifications.isUnread} </span>}
          {kindName(of.kind)}
          {title && (
            <>
              :{' '}
              {href ? (
                <Link href={href} onClick={unread ? read : undefined}>
                  {title}
                </Link>
              ) : (
                title
              )}
            </>
          )}
        </span>
        <span className="muted small">{moment(of.at)}</span>
      </span>
      {unread && (
        <Button kind="quiet" onClick={read} aria-label={`${text.notifications.read}: ${kindName(of.kind)}`}>
          {text.notifications.read}
        </Button>
      )}
    </li>
  )
}

/** What a notification is about: its data depend on its kind. */
function subjectOf({ data }: Notification, me: string | undefined): { title?: string; href?: string } {
  const part = (name: string) => data[name] as { id?: string; title?: string; name?: string } | undefined
  const auction = part('auction')
  if (auction?.id) return { title: auction.title ?? '', href: `/auctions/${auction.id}` }
  const trade = data.trade as { id?: string; parties?: string[] } | undefined
  if (trade?.id) {
    const others = (trade.parties ?? []).filter((party) => party !== me)
    return { title: text.trades.with(others.join(', ')), href: `/trades/${trade.id}` }
  }
  const name = part('card')?.name
  return name === undefined ? {} : { title: name }
}
