import type { Schema } from '../server/rest'
import { Link } from '../shell/link'
import { moment, text } from '../text/text'
import { Empty } from '../ui/notices'
import { List, type Page, usePages } from '../ui/pages'

type Act = Schema<'ActivityItem'>

/** What somebody did, the newest first. */
export function ActivityList({
  about,
  load,
}: {
  about: string
  load: (cursor: string | null) => Promise<Page<Act>>
}) {
  const acts = usePages(load, [about])
  return (
    <List of={acts} name={text.activity.title} empty={<Empty title={text.activity.none} />}>
      {(act) => (
        <li key={act.id}>
          <span className="what">
            <span>
              <Link href={`/users/${act.user.username}`}>{act.user.username}</Link> {text.activity[act.kind]}{' '}
              <Subject of={act} />
            </span>
            <span className="muted small">{moment(act.at)}</span>
          </span>
        </li>
      )}
    </List>
  )
}

function Subject({ of }: { of: Act }) {
  if (of.kind === 'followed' && of.username !== null)
    return <Link href={`/users/${of.username}`}>{of.username}</Link>
  if (of.title !== null) return <Link href={`/auctions/${of.subject}`}>{of.title}</Link>
  return null
}
