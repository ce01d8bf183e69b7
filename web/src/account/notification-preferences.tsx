import { rest } from '../server/rest'
import { text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt } from '../ui/toast'
import { Section } from './section'

const CHANNELS = ['in_app', 'email', 'push'] as const

/** What notifies one, by kind and channel. Each tick counts at once. */
export function NotificationPreferences() {
  const kinds = useLoaded((signal) => rest('get', '/users/me/notification-preferences', { signal }), [])
  const change = async (kind: string, channels: { in_app: boolean; email: boolean; push: boolean }) => {
    const before = kinds.value
    if (!before) return
    kinds.set({ kinds: { ...before.kinds, [kind]: channels } })
    const body = { kinds: { [kind]: channels } }
    if (!(await attempt(() => rest('patch', '/users/me/notification-preferences', { body }))))
      kinds.set(before)
  }
  return (
    <Section title={text.account.notifications} about={text.account.notificationsAbout}>
      <Shown of={kinds}>
        {(found) => (
          <table className="kinds">
            <thead>
              <tr>
                <th scope="col">{text.account.kind}</th>
                {CHANNELS.map((channel) => (
                  <th key={channel} scope="col">
                    {text.account.channels[channel]}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {Object.entries(found.kinds).map(([kind, channels]) => (
                <tr key={kind}>
                  <th scope="row">{kindName(kind)}</th>
                  {CHANNELS.map((channel) => (
                    <td key={channel}>
                      <label className="check">
                        <input
                          type="checkbox"
                          checked={channels[channel]}
                          onChange={(event) =>
                            void change(kind, { ...channels, [channel]: event.target.checked })
                          }
                        />
                        <span className="visually-hidden">
                          {kindName(kind)}: {text.account.channels[channel]}
                        </span>
                      </label>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Shown>
    </Section>
  )
}

/** A kind that this version has no words for is named as the server names it. */
export function kindName(kind: string): string {
  return text.notifications.kinds[kind as keyof typeof text.notifications.kinds] ?? kind.replaceAll('_', ' ')
}
