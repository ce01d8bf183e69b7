import type { ReactNode } from 'react'
import { rest, type Schema } from '../server/rest'
import { text } from '../text/text'
import { CodeField, PasswordField } from '../ui/field'
import { Form, type Values } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'

interface Props {
  submit: string
  onSubmit: (proof: Schema<'Proof'>, values: Values) => Promise<void>
  children?: ReactNode
}

/** A form that also asks who one is: by a code where there is a second factor, else by the password. */
export function ProofForm({ submit, onSubmit, children }: Props) {
  const factor = useLoaded((signal) => rest('get', '/auth/second-factor', { signal }), [])
  return (
    <Shown of={factor}>
      {({ state }) => (
        <Form submit={submit} onSubmit={(values) => onSubmit(proofOf(values), values)}>
          {children}
          {state === 'on' ? (
            <CodeField label={text.session.code} hint={text.session.codeHint} />
          ) : (
            <PasswordField
              name="password"
              label={text.account.currentPassword}
              hint={text.account.noPasswordHint}
              autoComplete="current-password"
              required={false}
            />
          )}
        </Form>
      )}
    </Shown>
  )
}

function proofOf(value: Values): Schema<'Proof'> {
  const [code, password] = [value('code').trim(), value('password')]
  return { ...(code && { code }), ...(password && { password }) }
}
