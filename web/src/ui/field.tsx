import { type InputHTMLAttributes, type ReactNode, useEffect, useRef, useState } from 'react'
import { text } from '../text/text'
import { Labelled } from './labelled'

interface Props extends Omit<InputHTMLAttributes<HTMLInputElement>, 'id'> {
  name: string
  label: string
  hint?: string | undefined
  /** It has the focus when it comes. */
  first?: boolean | undefined
}

/** A labelled field, with its hint and what the server said of it. */
export function Field({ name, label, hint, first, children, ...rest }: Props & { children?: ReactNode }) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (first) input.current?.focus()
  }, [first])
  return (
    <Labelled name={name} label={label} hint={hint}>
      {(described) => (
        <span className="with-button">
          <input
            {...described}
            ref={input}
            name={name}
            required
            autoCapitalize="none"
            spellCheck={false}
            {...rest}
          />
          {children}
        </span>
      )}
    </Labelled>
  )
}

/** A password that can be looked at. */
export function PasswordField(props: Omit<Props, 'type'>) {
  const [shown, setShown] = useState(false)
  return (
    <Field {...props} type={shown ? 'text' : 'password'}>
      <button className="button quiet" type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
        {shown ? text.ui.hide : text.ui.show}
      </button>
    </Field>
  )
}

/** A code of a second factor, from an app, or a recovery code. */
export function CodeField(props: Partial<Props> & { label: string }) {
  return (
    <Field
      name="code"
      className="code"
      autoComplete="one-time-code"
      minLength={6}
      maxLength={32}
      {...props}
    />
  )
}
