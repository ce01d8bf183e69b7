import { useState } from 'react'
import { rest } from '../server/rest'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'

export default function ForgotPage() {
  const [sent, setSent] = useState(false)
  return (
    <section className="session">
      <h1>{text.session.forgotTitle}</h1>
      {sent ? (
        <p role="status">{text.session.mailOnItsWay}</p>
      ) : (
        <>
          <p className="muted">{text.session.forgotText}</p>
          <Form
            submit={text.session.sendMail}
            onSubmit={async (value) => {
              await rest('post', '/auth/password/forgot', { body: { email: value('email') } })
              setSent(true)
            }}
          >
            <Field name="email" label={text.session.email} type="email" autoComplete="email" first />
          </Form>
        </>
      )}
      <p>
        <Link href="/password/reset">{text.session.haveCode}</Link>
      </p>
    </section>
  )
}
