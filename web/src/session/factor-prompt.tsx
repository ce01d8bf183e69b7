import { useEffect, useState } from 'react'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Dialog } from '../ui/dialog'
import { CodeField } from '../ui/field'
import { Form } from '../ui/form'
import { askFactorBy } from './session'

/** Asks for a code when the server wants a fresh second factor; what was asked for then goes on. */
export function FactorPrompt() {
  const [answer, setAnswer] = useState<(shown: boolean) => void>()
  useEffect(() => {
    // A function in a state is called to get the state.
    askFactorBy(() => new Promise((resolve) => setAnswer(() => resolve)))
    return () => askFactorBy(async () => false)
  }, [])
  if (!answer) return null
  const end = (shown: boolean) => {
    answer(shown)
    setAnswer(undefined)
  }
  return (
    <Dialog title={text.session.codeTitle} onClose={() => end(false)}>
      <p className="muted">{text.session.factorText}</p>
      <Form
        submit={text.session.confirm}
        onSubmit={async (value) => {
          await rest('post', '/auth/second-factor/verify', { body: { code: value('code').trim() } })
          end(true)
        }}
      >
        <CodeField label={text.session.code} first />
      </Form>
    </Dialog>
  )
}
