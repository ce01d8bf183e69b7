import { useState } from 'react'
import { rest } from '../server/rest'
import { NewPasswordField, passwordFault } from '../session/new-password'
import { text } from '../text/text'
import { Field, PasswordField } from '../ui/field'
import { Form } from '../ui/form'
import { toast } from '../ui/toast'
import { Section } from './section'

export function PasswordForm() {
  const [count, setCount] = useState(0)
  return (
    <Section title={text.account.password} about={text.account.passwordAbout}>
      <Form
        key={count}
        submit={text.account.changePassword}
        onSubmit={async (value) => {
          const body = {
            current_password: value('current_password'),
            new_password: value('new_password'),
            keep_api_keys: false,
          }
          await rest('post', '/auth/password', { body })
          toast(text.account.passwordChanged)
          // The fields are empty again.
          setCount(count + 1)
        }}
        say={passwordFault}
      >
        <PasswordField
          name="current_password"
          label={text.account.currentPassword}
          autoComplete="current-password"
        />
        <NewPasswordField name="new_password" label={text.session.newPassword} />
      </Form>
    </Section>
  )
}

export function EmailForm() {
  const [count, setCount] = useState(0)
  return (
    <Section title={text.account.email} about={text.account.emailAbout}>
      <Form
        key={count}
        submit={text.account.changeEmail}
        onSubmit={async (value) => {
          await rest('put', '/users/me/email', {
            body: { email: value('email'), password: value('password') },
          })
          toast(text.account.emailAsked)
          setCount(count + 1)
        }}
      >
        <Field name="email" label={text.account.newEmail} type="email" autoComplete="email" />
        <PasswordField name="password" label={text.session.password} autoComplete="current-password" />
      </Form>
    </Section>
  )
}
