import '../styles/account.css'
import { text } from '../text/text'
import { ApiKeys } from './api-keys'
import { EmailForm, PasswordForm } from './credentials'
import { Identities } from './identities'
import { Passkeys } from './passkeys'
import { SecondFactor } from './second-factor'
import { Sessions } from './sessions'

export default function SecurityPage() {
  return (
    <div className="account-page">
      <h1>{text.account.securityTitle}</h1>
      <Sessions />
      <PasswordForm />
      <EmailForm />
      <SecondFactor />
      <Passkeys />
      <Identities />
      <ApiKeys />
    </div>
  )
}
