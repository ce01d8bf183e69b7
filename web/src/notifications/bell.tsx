import { useAddress } from '../router'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { useUnread } from './inbox'

const SHOWN_MAX = 99

/** The way to the notifications, with how many are unread. */
export function Bell() {
  const unread = useUnread() ?? 0
  const here = useAddress().split('?')[0] === '/notifications'
  return (
    <Link
      className="button icon bell"
      href="/notifications"
      aria-current={here ? 'page' : undefined}
      aria-label={text.notifications.bell(unread)}
    >
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
        <path className="stroke" d="M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7Zm4 10a2 2 0 0 0 4 0" />
      </svg>
      {unread > 0 && (
        <span className="badge number" aria-hidden="true">
          {unread > SHOWN_MAX ? `${SHOWN_MAX}+` : unread}
        </span>
      )}
    </Link>
  )
}
