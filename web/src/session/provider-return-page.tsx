import { useEffect, useRef, useState } from 'react'
import { navigate, ownPath } from '../router'
import type { ScreenProps } from '../screens'
import { Problem } from '../server/problem'
import { Link } from '../shell/link'
import { problemText } from '../text/problems'
import { text } from '../text/text'
import { Skeleton } from '../ui/notices'
import { CodeStep, challengeOf } from './code-step'
import { finishAtProvider, takeBegun } from './providers'
import { useSession } from './use-session'

/** Where a provider sends people back to. */
export default function ProviderReturnPage({ query }: ScreenProps) {
  const [fault, setFault] = useState<unknown>()
  const [challenge, setChallenge] = useState<string>()
  const next = useRef('/')
  const asked = useRef(false)
  const session = useSession()
  useEffect(() => {
    if (session) navigate(next.current, { replace: true })
  }, [session])
  useEffect(() => {
    // The code is good once, and so is this.
    if (asked.current) return
    asked.current = true
    const begun = takeBegun()
    const code = query.get('login_code')
    history.replaceState(null, '', location.pathname)
    if (!begun || code === null) {
      const reason = query.get('error') ?? 'challenge_expired'
      setFault(new Problem(reason, text.errors.provider_refused, 0))
      return
    }
    next.current = ownPath(begun.next)
    finishAtProvider(code, begun.verifier).catch((error: unknown) => {
      const needed = challengeOf(error)
      if (needed === undefined) setFault(error)
      else setChallenge(needed)
    })
  }, [query])
  if (challenge !== undefined)
    return <CodeStep challenge={challenge} again={() => navigate('/login', { replace: true })} />
  if (fault === undefined) return <Skeleton />
  return (
    <section className="notice" role="alert">
      <h1>{text.session.providerFailed}</h1>
      <p>{problemText(fault)}</p>
      <Link className="button primary" href="/login">
        {text.session.logIn}
      </Link>
    </section>
  )
}
