import './styles/tokens.css'
import './styles/base.css'
import './styles/ui.css'
import './styles/shell.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { connect } from './connection'
import { followInbox } from './notifications/inbox'
import { keepForOffline } from './offline/offline'
import { bindPushToSession } from './push/push'
import { routeOf } from './router'
import { restore } from './session/session'
import { App } from './shell/app'
import { loadScreen } from './shell/screen-components'
import { showTheme } from './shell/theme'
import { preferredLocale, setTexts } from './text/locale'
import { awaitInstallOffer } from './worker/install'
import { registerWorker } from './worker/registration'
import { followTyping } from './worker/typed'

/** The page without its screen is better than none. */
const SCREEN_WITHIN_MS = 1_000
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function start(): Promise<void> {
  // Who looks, in which language, and the screen, if it comes soon. English is always there.
  const screen = routeOf(location.pathname)?.screen
  await Promise.all([
    restore(),
    setTexts(preferredLocale()).catch(() => undefined),
    screen && Promise.race([loadScreen(screen).catch(() => undefined), later(SCREEN_WITHIN_MS)]),
  ])
  connect()
  followInbox()
  registerWorker()
  followTyping()
  bindPushToSession()
  createRoot(document.getElementById('app') as HTMLElement).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}

showTheme()
awaitInstallOffer()
keepForOffline()
// Not awaited here: a screen imports from this script, and would wait for its end.
void start()
