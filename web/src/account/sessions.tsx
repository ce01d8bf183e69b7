import { rest } from '../server/rest'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import { Section } from './section'

/** Where one is logged in, and ending it there. */
export function Sessions() {
  const sessions = useLoaded((signal) => rest('get', '/sessions', { signal }), [])
  const end = async (session: string) => {
    await attempt(() => rest('delete', '/sessions/{session}', { path: { session } }))
    sessions.again()
  }
  const endOthers = async () => {
    if (await attempt(() => rest('delete', '/sessions'))) toast(text.account.othersEnded)
    sessions.again()
  }
  return (
    <Section title={text.account.sessions} about={text.account.sessionsAbout}>
      <Shown of={sessions}>
        {({ items }) => (
          <>
            <ul className="rows" aria-label={text.account.sessions}>
              {items.map(({ id, device, address, used_at, current }) => (
                <li key={id}>
                  <span className="what">
                    <span>
                      {device}
                      {current && <span className="tag good">{text.account.thisOne}</span>}
                    </span>
                    <span className="muted small">
                      {address} · {text.account.usedAt(moment(used_at))}
                    </span>
                  </span>
                  {!current && (
                    <Button
                      onClick={() => void end(id)}
                      aria-label={`${text.account.endSession}: ${device}, ${moment(used_at)}`}
                    >
                      {text.account.endSession}
                    </Button>
                  )}
                </li>
              ))}
            </ul>
            {items.length > 1 && (
              <div className="buttons">
                <Button onClick={() => void endOthers()}>{text.account.endOthers}</Button>
              </div>
            )}
          </>
        )}
      </Shown>
    </Section>
  )
}
