import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { useWallets } from '../session/use-wallets'
import { signedBy, type Wallet } from '../session/wallets'
import { day, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Shown, useLoaded } from '../ui/loaded'
import { toast } from '../ui/toast'
import { ProofForm } from './proof-form'
import { Removal } from './removal'
import { Section } from './section'

type Proof = Schema<'Proof'>
interface Linking {
  title: string
  link: (proof: Proof) => Promise<void>
}

/** Wallets, and accounts at providers, by which one can log in. */
export function Identities() {
  const identities = useLoaded((signal) => rest('get', '/auth/identities', { signal }), [])
  const [linking, setLinking] = useState<Linking>()
  const [unlinking, setUnlinking] = useState<{ id: string; name: string }>()
  return (
    <Section title={text.account.identities} about={text.account.identitiesAbout}>
      <Shown of={identities}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">{text.account.noIdentities}</p>
          ) : (
            <ul className="rows" aria-label={text.account.identities}>
              {items.map(({ id, way, provider, subject, email, linked_at }) => {
                const name = way === 'solana' ? text.account.wallet : provider
                return (
                  <li key={id}>
                    <span className="what">
                      <span>{name}</span>
                      <span className="muted small">
                        {email ?? subject} · {text.account.addedAt(day(linked_at))}
                      </span>
                    </span>
                    <Button
                      onClick={() => setUnlinking({ id, name })}
                      aria-label={`${text.account.unlink}: ${name}`}
                    >
                      {text.account.unlink}
                    </Button>
                  </li>
                )
              })}
            </ul>
          )
        }
      </Shown>
      <Linkable choose={setLinking} />
      {unlinking && (
        <Removal
          title={`${text.account.unlink}: ${unlinking.name}`}
          submit={text.account.unlink}
          remove={() => rest('delete', '/auth/identities/{identity}', { path: { identity: unlinking.id } })}
          onClose={() => {
            setUnlinking(undefined)
            identities.again()
          }}
        />
      )}
      {linking && (
        <Dialog title={linking.title} onClose={() => setLinking(undefined)}>
          <ProofForm
            submit={text.account.link}
            onSubmit={async (proof) => {
              await linking.link(proof)
              setLinking(undefined)
              toast(text.account.linked)
              identities.again()
            }}
          />
        </Dialog>
      )}
    </Section>
  )
}

function Linkable({ choose }: { choose: (linking: Linking) => void }) {
  const wallets = useWallets()
  const providers = useLoaded((signal) => rest('get', '/auth/oidc', { signal }), [])
  const names = providers.value?.items.map(({ name }) => name) ?? []
  if (wallets.length === 0 && names.length === 0)
    return <p className="muted small">{text.account.nothingToLink}</p>
  return (
    <div className="buttons">
      {wallets.map((wallet) => (
        <Button
          key={wallet.name}
          onClick={() =>
            choose({ title: text.account.linkWith(wallet.name), link: (proof) => linkWallet(wallet, proof) })
          }
        >
          {text.account.linkWith(wallet.name)}
        </Button>
      ))}
      {names.map((name) => (
        <Button
          key={name}
          onClick={() =>
            choose({ title: text.account.linkWith(name), link: (proof) => linkProvider(name, proof) })
          }
        >
          {text.account.linkWith(name)}
        </Button>
      ))}
    </div>
  )
}

async function linkWallet(wallet: Wallet, proof: Proof): Promise<void> {
  // As the user: the text that the wallet signs says whose account it is.
  const challenge = await rest('post', '/auth/siws/challenge')
  await rest('post', '/auth/siws/link', { body: { ...(await signedBy(wallet, challenge)), ...proof } })
}

async function linkProvider(provider: string, proof: Proof): Promise<void> {
  const return_to = `${location.origin}/settings/security`
  const { url } = await rest('post', '/auth/oidc/{provider}/link', {
    path: { provider },
    body: { ...proof, return_to },
  })
  location.assign(url)
}
