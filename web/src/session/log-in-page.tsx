import { useEffect, useState } from 'react'
import { navigate, ownPath } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { plain } from '../server/rest'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field, PasswordField } from '../ui/field'
import { Form } from '../ui/form'
import { CodeStep, challengeOf } from './code-step'
import { begun } from './session'
import { useSession } from './use-session'
import { WaysIn } from './ways-in'

/** Once there is a session, on to where one wanted to go. */
export function useNext(query: URLSearchParams): string {
  const next = ownPath(query.get('next'))
  const session = useSession()
  useEffect(() => {
    if (session) navigate(next, { replace: true })
  }, [session, next])
  return next
}

export default function LogInPage({ query }: ScreenProps) {
  const next = useNext(query)
  const [challenge, setChallenge] = useState<string>()
  if (challenge !== undefined) return <CodeStep challenge={challenge} again={() => setChallenge(undefined)} />
  return (
    <section className="session">
      <h1>{text.session.logInTitle}</h1>
      <PasswordLogIn asked={setChallenge} />
      <WaysIn next={next} asked={setChallenge} />
      <p className="muted">
        {text.session.toRegister}{' '}
        <Link href={`/register?next=${encodeURIComponent(next)}`}>{text.session.register}</Link>
      </p>
    </section>
  )
}

function PasswordLogIn({ asked }: { asked: (challenge: string) => void }) {
  return (
    <Form
      submit={text.session.logIn}
      onSubmit={async (value) => {
        try {
          await begun(await plain('/auth/login', { login: value('login'), password: value('password') }))
        } catch (error) {
          const challenge = challengeOf(error)
          if (challenge === undefined) throw error
          asked(challenge)
        }
      }}
      say={(error) =>
        error instanceof Problem && error.code === 'unauthenticated' ? text.errors.login : undefined
      }
      beside={<Link href="/password/forgot">{text.session.forgot}</Link>}
    >
      <Field name="login" label={text.session.login} autoComplete="username" first />
      <PasswordField name="password" label={text.session.password} autoComplete="current-password" />
    </Form>
  )
}
