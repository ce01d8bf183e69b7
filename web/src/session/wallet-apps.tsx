import { text } from '../text/text'

/** Wallet apps that open a page in their own browser, where the page finds the wallet by the Wallet Standard. */
const APPS = [
  { name: 'Phantom', browse: 'https://phantom.app/ul/browse/' },
  { name: 'Solflare', browse: 'https://solflare.com/ul/v1/browse/' },
] as const

export const browseAddress = (browse: string, page: string, origin: string): string =>
  `${browse}${encodeURIComponent(page)}?ref=${encodeURIComponent(origin)}`

const PHONE = /Android|iPhone|iPad|iPod/
/** An iPad says that it is a Mac, which has no touch screen. */
export const isPhone = ({ userAgent, maxTouchPoints }: Pick<Navigator, 'userAgent' | 'maxTouchPoints'>) =>
  PHONE.test(userAgent) || (userAgent.includes('Macintosh') && maxTouchPoints > 1)

/** Where wallet apps speak the Mobile Wallet Adapter protocol with a page: not in a page within another app. */
export const reachesApps = ({ userAgent }: Pick<Navigator, 'userAgent'>) =>
  /Android.*Chrome\//.test(userAgent) && !userAgent.includes('; wv)')

/** They register as a wallet; the code that talks to them comes only now. */
export async function findWalletApps(): Promise<void> {
  if (!isSecureContext || !reachesApps(navigator)) return
  const { registerWalletApp } = await import('./wallet-app/wallet')
  registerWalletApp()
}

/** What one can do where this browser itself has no wallet. */
export function WalletApps() {
  if (!isPhone(navigator)) return <p className="muted small">{text.wallet.noWallets}</p>
  return (
    <>
      <p className="muted small">{text.wallet.inApp}</p>
      <div className="buttons">
        {APPS.map(({ name, browse }) => (
          <a
            key={name}
            className="button"
            href={browseAddress(browse, location.href, location.origin)}
            rel="noreferrer"
          >
            {text.wallet.openIn(name)}
          </a>
        ))}
      </div>
    </>
  )
}
