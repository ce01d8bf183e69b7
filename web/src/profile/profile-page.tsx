import '../styles/account.css'
import { useEffect, useState } from 'react'
import { useTitle } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { rest, type Schema } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { Missing } from '../shell/missing'
import { count, day, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt } from '../ui/toast'
import { ActivityList } from './activity-list'
import { Avatar } from './avatar'

export default function ProfilePage({ params }: ScreenProps) {
  const username = params.username ?? ''
  const profile = useLoaded(
    (signal) => rest('get', '/users/{username}', { path: { username }, signal }),
    [username],
  )
  if (profile.error instanceof Problem && profile.error.status === 404)
    return <Missing title={text.profile.missingTitle} detail={text.shell.notFoundText} />
  return (
    <div className="account-page">
      <Shown of={profile}>
        {(found) => (
          <>
            <Head profile={found} again={profile.again} />
            <section>
              <h2>{text.activity.title}</h2>
              <ActivityList
                about={found.username}
                load={(cursor) =>
                  rest('get', '/users/{username}/activity', { path: { username }, query: { cursor } })
                }
              />
            </section>
          </>
        )}
      </Shown>
    </div>
  )
}

function Head({ profile, again }: { profile: Schema<'ProfileBody'>; again: () => void }) {
  const session = useSession()
  const { username, display_name, bio, joined_at } = profile
  useTitle(display_name ?? username)
  return (
    <header className="profile-head">
      <Avatar of={profile} large />
      <div className="profile-name">
        <h1>{display_name ?? username}</h1>
        <p className="muted">
          @{username} · {text.profile.joined(day(joined_at))}
        </p>
      </div>
      {session?.username === username ? (
        <Link className="button" href="/settings/profile">
          {text.profile.edit}
        </Link>
      ) : (
        session && (
          <>
            <Link className="button" href={`/trades/new?with=${username}`}>
              {text.trades.start}
            </Link>
            <Follow username={username} changed={again} />
          </>
        )
      )}
      {bio && <p className="bio">{bio}</p>}
      <Counts of={profile.counts} />
    </header>
  )
}

function Counts({ of }: { of: Schema<'Counts'> }) {
  const shown = (['copies', 'followers', 'following', 'trades', 'sales'] as const).filter(
    (name) => of[name] !== null,
  )
  return (
    <dl className="counts">
      {shown.map((name) => (
        <div key={name}>
          <dt>{text.profile.counts[name]}</dt>
          <dd className="number">{count(of[name] ?? 0)}</dd>
        </div>
      ))}
    </dl>
  )
}

const FOLLOWS_MAX = 1_000
const PAGE = 100

/** Whether one follows somebody: the server has the list, at most so many. */
async function follows(username: string): Promise<boolean> {
  let cursor: string | null = null
  for (let seen = 0; seen < FOLLOWS_MAX; seen += PAGE) {
    const page: Schema<'FollowPage'> = await rest('get', '/users/me/following', {
      query: { cursor, limit: PAGE },
    })
    if (page.items.some((one) => one.username === username)) return true
    if (page.next_cursor === null) return false
    cursor = page.next_cursor
  }
  return false
}

function Follow({ username, changed }: { username: string; changed: () => void }) {
  const [following, setFollowing] = useState<boolean>()
  useEffect(() => {
    let current = true
    void follows(username).then(
      (found) => current && setFollowing(found),
      () => undefined,
    )
    return () => {
      current = false
    }
  }, [username])
  if (following === undefined) return null
  const turn = async () => {
    const verb = following ? 'delete' : 'put'
    setFollowing(!following)
    const path = { username }
    if (!(await attempt(() => rest(verb, '/users/me/following/{username}', { path }))))
      setFollowing(following)
    changed()
  }
  return (
    <Button {...(!following && { kind: 'primary' })} aria-pressed={following} onClick={() => void turn()}>
      {following ? text.profile.unfollow : text.profile.follow}
    </Button>
  )
}
