import { useState } from 'react'
import { rest } from '../server/rest'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { toast } from '../ui/toast'
import { tokenIn, useMailToken } from './mail-token'

/** By the mailed link, or by its code. Nothing happens until somebody presses: programs that look into mail open links. */
export default function VerifyPage() {
  const token = useMailToken()
  const [done, setDone] = useState(false)
  if (done) {
    return (
      <section className="notice" role="status">
        <h1>{text.session.verifiedTitle}</h1>
        <p>{text.session.verifiedText}</p>
        <Link className="button primary" href="/">
          {text.shell.home}
        </Link>
      </section>
    )
  }
  return (
    <section className="session">
      <h1>{text.session.verifyTitle}</h1>
      <p className="muted">{text.session.verifyText}</p>
      <Form
        submit={text.session.verify}
        onSubmit={async (value) => {
          await rest('post', '/auth/verify', { body: { token: tokenIn(value('token')) } })
          setDone(true)
        }}
      >
        <Field name="token" label={text.session.mailCode} defaultValue={token} autoComplete="off" first />
      </Form>
      <details className="more-about">
        <summary>{text.session.noMail}</summary>
        <Form
          submit={text.session.resend}
          onSubmit={async (value) => {
            await rest('post', '/auth/verify/resend', { body: { email: value('email') } })
            toast(text.session.mailOnItsWay)
          }}
        >
          <Field name="email" label={text.session.email} type="email" autoComplete="email" />
        </Form>
      </details>
    </section>
  )
}
