import { Problem } from '../server/problem'
import { plain } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { CodeField } from '../ui/field'
import { Form } from '../ui/form'
import { begun } from './session'

/** What goes on with a log-in that needs a second factor; undefined for any other fault. */
export function challengeOf(error: unknown): string | undefined {
  const challenge = error instanceof Problem ? error.field('challenge') : undefined
  return typeof challenge === 'string' ? challenge : undefined
}

/** The second half of a log-in, whatever the first was. */
export function CodeStep({ challenge, again }: { challenge: string; again: () => void }) {
  return (
    <section className="session">
      <h1>{text.session.codeTitle}</h1>
      <p className="muted">{text.session.codeText}</p>
      <Form
        submit={text.session.logIn}
        onSubmit={async (value) =>
          begun(await plain('/auth/second-factor/login', { challenge, code: value('code').trim() }))
        }
        beside={
          <Button kind="quiet" onClick={again}>
            {text.ui.cancel}
          </Button>
        }
      >
        <CodeField label={text.session.code} hint={text.session.codeHint} first />
      </Form>
    </section>
  )
}
