import { useState } from 'react'
import { plain, rest } from '../server/rest'
import { problemText } from '../text/problems'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { useLoaded } from '../ui/loaded'
import { challengeOf } from './code-step'
import { logInByPasskey, passkeysWork } from './passkeys'
import { startAtProvider } from './providers'
import { begun } from './session'
import { useWallets } from './use-wallets'
import { isPhone, WalletApps } from './wallet-apps'
import { isInBrowser, signedBy, type Wallet } from './wallets'

interface Props {
  next: string
  asked: (challenge: string) => void
}

/** What there is beside a password: passkeys where the browser has them, wallets, and the providers of the server. */
export function WaysIn({ next, asked }: Props) {
  const [fault, setFault] = useState<string>()
  const wallets = useWallets()
  const providers = useLoaded((signal) => rest('get', '/auth/oidc', { signal }), [])
  const take = async (way: () => Promise<unknown>) => {
    setFault(undefined)
    try {
      await way()
    } catch (error) {
      const challenge = challengeOf(error)
      if (challenge !== undefined) asked(challenge)
      // Who closes the dialog of the browser or the wallet has changed their mind.
      else if (!(error instanceof DOMException)) setFault(problemText(error))
    }
  }
  const names = providers.value?.items.map(({ name }) => name) ?? []
  if (!passkeysWork() && wallets.length === 0 && names.length === 0 && !isPhone(navigator)) return null
  return (
    <div className="ways">
      <p className="or muted">{text.session.or}</p>
      {passkeysWork() && (
        <Button wide onClick={() => void take(logInByPasskey)}>
          {text.session.byPasskey}
        </Button>
      )}
      {wallets.map((wallet) => (
        <Button key={wallet.name} wide onClick={() => void take(() => logInByWallet(wallet))}>
          {text.session.byWallet(wallet.name)}
        </Button>
      ))}
      {!wallets.some(isInBrowser) && isPhone(navigator) && <WalletApps />}
      {names.map((name) => (
        <Button key={name} wide onClick={() => void take(() => startAtProvider(name, next))}>
          {text.session.byProvider(name)}
        </Button>
      ))}
      <div role="alert">{fault && <p className="fault">{fault}</p>}</div>
    </div>
  )
}

async function logInByWallet(wallet: Wallet): Promise<void> {
  const challenge = await plain('/auth/siws/challenge')
  await begun(await plain('/auth/siws', await signedBy(wallet, challenge)))
}
