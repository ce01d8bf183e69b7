import { rest, type Schema } from '../server/rest'
import { text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt } from '../ui/toast'
import { Section } from './section'

const PRIVATE = ['private_collection', 'private_follows', 'private_wins'] as const

export function Privacy() {
  const preferences = useLoaded((signal) => rest('get', '/users/me/preferences', { signal }), [])
  const change = async (before: Schema<'PreferencesBody'>, name: (typeof PRIVATE)[number], on: boolean) => {
    preferences.set({ ...before, [name]: on })
    const body = { [name]: on }
    const done = await attempt(() => rest('patch', '/users/me/preferences', { body: body as never }))
    if (!done) preferences.set(before)
  }
  return (
    <Section title={text.account.privacy} about={text.account.privacyAbout}>
      <Shown of={preferences}>
        {(now) => (
          <div>
            {PRIVATE.map((name) => (
              <label key={name} className="choice">
                <input
                  type="checkbox"
                  checked={now[name]}
                  onChange={(event) => void change(now, name, event.target.checked)}
                />
                {text.account[name]}
              </label>
            ))}
          </div>
        )}
      </Shown>
    </Section>
  )
}
