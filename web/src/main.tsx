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
import { showTheme } from './shell/theme'
import { preferredLocale, setTexts } from './text/locale'
import { awaitInstallOffer } from './worker/install'
import { registerWorker } from './worker/registration'
import { followTyping } from './worker/typed'

showTheme()
awaitInstallOffer()
keepForOffline()
// While it is found out who looks, and in which language, the screen's script comes already.
void routeOf(location.pathname)
  ?.screen.load()
  .catch(() => undefined)
// English is always there.
await Promise.all([restore(), setTexts(preferredLocale()).catch(() => undefined)])
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
