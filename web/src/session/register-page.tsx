import type { ScreenProps } from '../screens'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { toast } from '../ui/toast'
import { useNext } from './log-in-page'
import { NewPasswordField, passwordFault } from './new-password'
import { register } from './session'

export default function RegisterPage({ query }: ScreenProps) {
  const next = useNext(query)
  return (
    <section className="session">
      <h1>{text.session.registerTitle}</h1>
      <p className="muted">{text.session.registerText}</p>
      <Form
        submit={text.session.register}
        onSubmit={async (value) => {
          await register(value('email'), value('username'), value('password'))
          toast(text.session.verifySent)
        }}
        say={passwordFault}
      >
        <Field
          name="username"
          label={text.session.username}
          hint={text.session.usernameHint}
          autoComplete="username"
          pattern="[A-Za-z0-9_\-]{3,30}"
          first
        />
        <Field name="email" label={text.session.email} type="email" autoComplete="email" />
        <NewPasswordField name="password" label={text.session.password} />
      </Form>
      <p className="muted">
        {text.session.toLogIn}{' '}
        <Link href={`/login?next=${encodeURIComponent(next)}`}>{text.session.logIn}</Link>
      </p>
    </section>
  )
}
