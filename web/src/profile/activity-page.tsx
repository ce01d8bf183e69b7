import '../styles/account.css'
import { useState } from 'react'
import { rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { text } from '../text/text'
import { Tabs } from '../ui/tabs'
import { ActivityList } from './activity-list'

export default function ActivityPage() {
  const [of, setOf] = useState<'feed' | 'own'>('feed')
  const username = useSession()?.username ?? ''
  const tabs = [
    { key: 'feed', title: text.activity.feed },
    { key: 'own', title: text.activity.own },
  ] as const
  return (
    <div className="account-page">
      <h1>{text.activity.title}</h1>
      <Tabs label={text.activity.title} tabs={tabs} chosen={of} choose={setOf}>
        <ActivityList
          about={of}
          load={(cursor) =>
            of === 'feed'
              ? rest('get', '/users/me/feed', { query: { cursor } })
              : rest('get', '/users/{username}/activity', { path: { username }, query: { cursor } })
          }
        />
      </Tabs>
    </div>
  )
}
