import { Component, type ReactNode, useEffect, useState } from 'react'
import { useOffline } from '../offline/offline'
import { navigate, type Route, routeOf, useAddress, useTitle } from '../router'
import type { Screen } from '../screens'
import { FactorPrompt } from '../session/factor-prompt'
import { useSession } from '../session/use-session'
import { useLocale } from '../text/locale'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Skeleton } from '../ui/notices'
import { Toasts } from '../ui/toast'
import { ConnectionBanner } from './connection-banner'
import { Header } from './header'
import { Missing } from './missing'
import { NewVersionBanner } from './new-version-banner'
import { useScreenComponent } from './screen-components'

export function App() {
  const locale = useLocale()
  useEffect(() => {
    document.documentElement.lang = locale
  }, [locale])
  // Another language draws everything anew.
  return <Page key={locale} />
}

function Page() {
  return (
    <>
      <a className="skip" href="#content">
        {text.shell.skip}
      </a>
      <Header />
      <ConnectionBanner />
      <NewVersionBanner />
      <main id="content" tabIndex={-1}>
        <CurrentScreen />
      </main>
      <Toasts />
      <FactorPrompt />
    </>
  )
}

function CurrentScreen() {
  const address = useAddress()
  const session = useSession()
  const route = routeOf(address)
  // What was shown from before, without a network, is asked for again.
  const { turn } = useOffline()
  const locked = route?.screen.session === true && !session
  useEffect(() => {
    if (locked) navigate(`/login?next=${encodeURIComponent(address)}`, { replace: true })
  }, [address, locked])
  if (!route) return <Missing title={text.shell.notFoundTitle} detail={text.shell.notFoundText} />
  if (locked) return null
  // What is one's own begins anew with another user.
  const about = JSON.stringify([route.screen.path, route.params, route.screen.session && session?.id, turn])
  return (
    <Boundary key={about}>
      <Title of={route.screen} />
      <Shown {...route} />
    </Boundary>
  )
}

function Shown({ screen, params, query }: Route) {
  const Component = useScreenComponent(screen)
  return Component ? <Component params={params} query={query} /> : <Late />
}

/** Before the screen: that may know better. */
function Title({ of }: { of: Screen }) {
  useTitle(of.title())
  return null
}

const SHOWN_AFTER_MS = 200

/** A screen that is there at once needs no skeleton. */
function Late() {
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SHOWN_AFTER_MS)
    return () => clearTimeout(timer)
  }, [])
  return late && <Skeleton lines={5} />
}

/** A screen that fails, or can't be loaded, takes no other part of the page with it. */
class Boundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true }
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children
    return (
      <section className="notice" role="alert">
        <h1>{text.shell.failedTitle}</h1>
        <p>{text.shell.failedText}</p>
        <Button kind="primary" onClick={() => location.reload()}>
          {text.shell.reload}
        </Button>
      </section>
    )
  }
}
