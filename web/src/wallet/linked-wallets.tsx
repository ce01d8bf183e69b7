import { Section } from '../account/section'
import { newKey } from '../server/key'
import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { useWallets } from '../session/use-wallets'
import { WalletApps } from '../session/wallet-apps'
import { addressOf, isInBrowser, signedBy, type Wallet } from '../session/wallets'
import { day, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'

/** Outside wallets, linked by a text that they sign. */
export function LinkedWallets() {
  const own = useLoaded((signal) => rest('get', '/wallets', { signal }), [])
  const wallets = useWallets()
  const link = async (wallet: Wallet) => {
    try {
      await linkBy(wallet)
      toast(text.wallet.linkDone)
      own.again()
    } catch (error) {
      if (error instanceof Problem) await attempt(() => Promise.reject(error))
      else toast(text.wallet.refusedByWallet, true)
    }
  }
  const unlink = async (address: string) => {
    await attempt(() => rest('delete', '/wallets/links/{address}', { path: { address } }))
    own.again()
  }
  return (
    <Section title={text.wallet.linked} about={text.wallet.linkedAbout}>
      <Shown of={own}>
        {({ links }) =>
          links.length === 0 ? (
            <p className="muted">{text.wallet.noLinks}</p>
          ) : (
            <ul className="rows" aria-label={text.wallet.linked}>
              {links.map(({ address, linked_at }) => (
                <li key={address}>
                  <span className="what">
                    <code>{address}</code>
                    <span className="muted small">{text.wallet.linkedAt(day(linked_at))}</span>
                  </span>
                  <Button
                    onClick={() => void unlink(address)}
                    aria-label={`${text.wallet.unlink}: ${address}`}
                  >
                    {text.wallet.unlink}
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
      {wallets.length > 0 && (
        <div className="buttons">
          {wallets.map((wallet) => (
            <Button key={wallet.name} kind="primary" onClick={() => void link(wallet)}>
              {text.wallet.link(wallet.name)}
            </Button>
          ))}
        </div>
      )}
      {!wallets.some(isInBrowser) && <WalletApps />}
    </Section>
  )
}

async function linkBy(wallet: Wallet): Promise<void> {
  const address = await addressOf(wallet)
  const challenge = await rest('post', '/wallets/challenges', { key: newKey(), body: { address } })
  const signed = await signedBy(wallet, challenge.input)
  await rest('post', '/wallets/links', { key: newKey(), body: signed })
}
