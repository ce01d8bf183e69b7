import { Section } from '../account/section'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'

/** When no push messages come, by the clock of where the user is now. */
export function QuietHours() {
  const preferences = useLoaded((signal) => rest('get', '/users/me/preferences', { signal }), [])
  const set = async (quiet_from: string | null, quiet_until: string | null) => {
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    const body = { quiet_from, quiet_until, time_zone: timeZone }
    preferences.set(await rest('patch', '/users/me/preferences', { body: body as never }))
    toast(text.ui.saved)
  }
  return (
    <Section title={text.device.quiet} about={text.device.quietAbout}>
      <Shown of={preferences}>
        {({ quiet_from, quiet_until, time_zone }) => (
          <Form
            key={`${quiet_from} ${quiet_until}`}
            submit={text.ui.save}
            onSubmit={(value) => set(value('quiet_from'), value('quiet_until'))}
            beside={
              quiet_from !== null && (
                <Button onClick={() => void attempt(() => set(null, null))}>{text.device.noQuiet}</Button>
              )
            }
          >
            <div className="field-row">
              <Field
                name="quiet_from"
                label={text.device.quietFrom}
                type="time"
                defaultValue={quiet_from ?? '22:00'}
              />
              <Field
                name="quiet_until"
                label={text.device.quietUntil}
                type="time"
                defaultValue={quiet_until ?? '07:00'}
              />
            </div>
            <p className="muted small">
              {quiet_from === null ? text.device.quietOff : text.device.quietZone(time_zone)}
            </p>
          </Form>
        )}
      </Shown>
    </Section>
  )
}
