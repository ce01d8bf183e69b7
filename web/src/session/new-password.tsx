import { Problem } from '../server/problem'
import { text } from '../text/text'
import { PasswordField } from '../ui/field'

/** The server alone knows how long it has to be, and which are guessed early: it says so. */
export function NewPasswordField({ name, label, first }: { name: string; label: string; first?: boolean }) {
  return (
    <PasswordField
      name={name}
      label={label}
      hint={text.session.passwordHint}
      autoComplete="new-password"
      first={first}
    />
  )
}

/** Why a new password was refused; undefined for other faults. */
export function passwordFault(error: unknown): string | undefined {
  if (!(error instanceof Problem)) return undefined
  if (error.code === 'password_refused') {
    const reason = error.field('reason') as keyof typeof text.session.refused
    return text.session.refused[reason] ?? error.message
  }
  // The fault stands at its field.
  return error.faults.length > 0 ? text.session.checkFields : undefined
}
