import '../styles/operation.css'
import { useState } from 'react'
import { StaffOnly } from '../operator/staff'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { useLoaded } from '../ui/loaded'
import { Tabs } from '../ui/tabs'
import { AuditTrail } from './audit-trail'
import { Disputes } from './disputes'
import { Users } from './users'

export default function ModerationPage() {
  const [part, setPart] = useState<'users' | 'disputes' | 'audit'>('users')
  const suspended = useLoaded((signal) => rest('get', '/admin/suspensions', { signal }), [])
  const tabs = [
    { key: 'users', title: text.moderation.users },
    { key: 'disputes', title: text.moderation.disputes },
    { key: 'audit', title: text.moderation.audit },
  ] as const
  return (
    <div className="operation-page">
      <h1>{text.moderation.title}</h1>
      <StaffOnly of={suspended}>
        {({ items }) => (
          <Tabs label={text.moderation.title} tabs={tabs} chosen={part} choose={setPart}>
            {part === 'users' && <Users suspended={items} changed={suspended.again} />}
            {part === 'disputes' && <Disputes />}
            {part === 'audit' && <AuditTrail />}
          </Tabs>
        )}
      </StaffOnly>
    </div>
  )
}
