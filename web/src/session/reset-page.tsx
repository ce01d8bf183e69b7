import { navigate } from '../router'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { toast } from '../ui/toast'
import { tokenIn, useMailToken } from './mail-token'
import { NewPasswordField, passwordFault } from './new-password'

/** By the link of a mail, or by its code. */
export default function ResetPage() {
  const token = useMailToken()
  return (
    <section className="session">
      <h1>{text.session.resetTitle}</h1>
      <p className="muted">{text.session.resetText}</p>
      <Form
        submit={text.session.setPassword}
        onSubmit={async (value) => {
          const body = { token: tokenIn(value('token')), new_password: value('new_password') }
          await rest('post', '/auth/password/reset', { body })
          toast(text.session.passwordSet)
          navigate('/login')
        }}
        say={passwordFault}
      >
        <Field
          name="token"
          label={text.session.mailCode}
          defaultValue={token}
          autoComplete="off"
          first={token === ''}
        />
        <NewPasswordField name="new_password" label={text.session.newPassword} first={token !== ''} />
      </Form>
    </section>
  )
}
