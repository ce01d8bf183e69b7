import { type ReactNode, useEffect, useId, useRef } from 'react'
import { useConnection } from '../connection'
import { Bell } from '../notifications/bell'
import { navigate, routeOf, useAddress } from '../router'
import { SCREENS } from '../screens'
import { useBalance } from '../session/balance'
import { logOut, type Session } from '../session/session'
import { useSession } from '../session/use-session'
import { money, text } from '../text/text'
import { Link } from './link'
import { ThemeToggle } from './theme-toggle'

const SITE = SCREENS.filter(({ nav }) => nav === 'site')
const ACCOUNT = SCREENS.filter(({ nav }) => nav === 'account')

export function Header() {
  const session = useSession()
  return (
    <>
      <header className="header">
        <Link className="brand" href="/" aria-label={text.brand}>
          <img src="/icon.svg" alt="" width="28" height="28" />
          <span>{text.brand}</span>
        </Link>
        <Latency />
        <ThemeToggle />
        {session ? <Account {...session} /> : <Guest />}
      </header>
      {SITE.length > 1 && <Sections />}
    </>
  )
}

function Sections() {
  const nav = useRef<HTMLElement>(null)
  const path = useAddress().split('?')[0]
  // On a narrow screen they scroll sideways: the current one is in view.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page has another current entry
  useEffect(() => {
    const here = nav.current?.querySelector<HTMLElement>('[aria-current]')
    if (nav.current && here) nav.current.scrollLeft = here.offsetLeft - nav.current.clientWidth / 4
  }, [path])
  return (
    <nav className="sections" aria-label={text.shell.sections} ref={nav}>
      {SITE.map(({ path, title }) => (
        <Entry key={path} href={path}>
          {title()}
        </Entry>
      ))}
    </nav>
  )
}

function Entry({ href, children, onClick }: { href: string; children: ReactNode; onClick?: () => void }) {
  const here = useAddress().split('?')[0] === href
  return (
    <Link href={href} aria-current={here ? 'page' : undefined} {...(onClick && { onClick })}>
      {children}
    </Link>
  )
}

function Account({ username, roles }: Session) {
  const balance = useBalance()
  return (
    <div className="account">
      {balance !== undefined && (
        <span className="balance" title={text.shell.available}>
          <span className="visually-hidden">{text.shell.available} </span>
          {money(balance)}
        </span>
      )}
      <Bell />
      <Menu username={username} roles={roles} />
    </div>
  )
}

/** A popover of the browser: a press elsewhere or Escape closes it. */
function Menu({ username, roles }: Pick<Session, 'username' | 'roles'>) {
  const id = useId()
  const close = () => document.getElementById(id)?.hidePopover()
  const leave = () => {
    close()
    void logOut().then(() => routeOf(location.pathname)?.screen.session && navigate('/'))
  }
  return (
    <>
      <button className="button quiet menu-button" type="button" popoverTarget={id}>
        <span className="visually-hidden">{text.shell.menu(username)}</span>
        <span className="initial" aria-hidden="true">
          {username[0]?.toUpperCase()}
        </span>
        <span className="username" aria-hidden="true">
          {username}
        </span>
      </button>
      <div className="menu" id={id} popover="auto">
        <nav aria-label={text.shell.account}>
          {ACCOUNT.filter(({ role }) => role === undefined || role.some((one) => roles.includes(one))).map(
            ({ path, title }) => (
              <Entry key={path} href={path} onClick={close}>
                {title()}
              </Entry>
            ),
          )}
        </nav>
        <button className="button quiet wide" type="button" onClick={leave}>
          {text.shell.logOut}
        </button>
      </div>
    </>
  )
}

function Guest() {
  const address = useAddress()
  const asked = ['/login', '/register'].includes(address.split('?')[0] ?? '')
  const next = asked ? '' : `?next=${encodeURIComponent(address)}`
  return (
    <nav className="account" aria-label={text.shell.account}>
      <Link className="button quiet" href={`/login${next}`}>
        {text.shell.logIn}
      </Link>
      <Link className="button primary" href={`/register${next}`}>
        {text.shell.register}
      </Link>
    </nav>
  )
}

function Latency() {
  const { status, latencyMs } = useConnection()
  const open = status.kind === 'open'
  return (
    <span className={`latency ${open ? 'up' : 'down'}`} title={text.connection.latencyLabel}>
      <span className="dot" aria-hidden="true" />
      <span>{open ? text.connection.live : text.connection.off}</span>
      {open && latencyMs !== undefined && (
        <span className="number">{text.connection.latency(Math.max(1, Math.round(latencyMs)))}</span>
      )}
    </span>
  )
}
