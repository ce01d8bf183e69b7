import '../styles/mint.css'
import { useState } from 'react'
import { pictureAddress } from '../card/picture-address'
import type { ScreenProps } from '../screens'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { Link } from '../shell/link'
import { count, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { attempt } from '../ui/toast'
import { progressText } from './draft-row'
import { ProgressBar } from './progress-bar'
import { signatureLink } from './signature-link'
import { useMint } from './use-mint'

export default function MintPage({ params }: ScreenProps) {
  const mint = params.mint ?? ''
  const loaded = useLoaded(
    (signal) => rest('get', '/mints/{mint_id}', { path: { mint_id: mint }, signal }),
    [mint],
  )
  const [asked, setAsked] = useState(0)
  const live = useMint(mint)
  const [busy, setBusy] = useState(false)
  const retry = async () => {
    setBusy(true)
    const done = await attempt(() =>
      rest('post', '/mints/{mint_id}/retry', { key: newKey(), path: { mint_id: mint } }),
    )
    setBusy(false)
    if (done) setAsked((times) => times + 1)
  }
  return (
    <div className="mint-page">
      <p>
        <Link href="/mints">{text.mint.title}</Link>
      </p>
      <h1>{text.mint.one}</h1>
      <Shown of={loaded}>
        {(found) => {
          const now = live ?? { ...found, status: found.state }
          return (
            <>
              <section className="panel mint-progress">
                <p role="status">{progressText(now)}</p>
                <ProgressBar part={now.done / now.total} label={text.mint.states[now.status]} />
                {now.poisoned > 0 && (
                  <div className="failed-copies">
                    <p className="fault">{text.mint.failed(count(now.poisoned))}</p>
                    <Button busy={busy} onClick={() => void retry()}>
                      {text.mint.retry}
                    </Button>
                  </div>
                )}
              </section>
              <Copies mint={mint} about={`${now.done} ${now.poisoned} ${asked}`} />
            </>
          )
        }}
      </Shown>
    </div>
  )
}

type Item = Schema<'MintItemBody'>

function Copies({ mint, about }: { mint: string; about: string }) {
  const pages = usePages(
    (cursor) => rest('get', '/mints/{mint_id}/items', { path: { mint_id: mint }, query: { cursor } }),
    [mint, about],
  )
  const chain = useLoaded((signal) => rest('get', '/chain', { signal }), [])
  const cards = useCards(pages.items)
  return (
    <section className="panel">
      <h2>{text.mint.copiesOf}</h2>
      <List of={pages} name={text.mint.copiesOf} empty={<Empty title={text.mint.none} />}>
        {(one) => (
          <Copy key={one.copy} of={one} image={cards.get(one.card)} cluster={chain.value?.cluster ?? null} />
        )}
      </List>
    </section>
  )
}

/** The pictures of the cards of these copies: few, since a request is mostly about one. */
function useCards(items: Item[] | undefined): ReadonlyMap<string, string | undefined> {
  const wanted = [...new Set(items?.map(({ card }) => card) ?? [])].slice(0, CARDS_MAX)
  const loaded = useLoaded(
    (signal) =>
      Promise.all(
        wanted.map((card_id) => rest('get', '/catalog/cards/{card_id}', { path: { card_id }, signal })),
      ),
    [wanted.join()],
  )
  return new Map(loaded.value?.map(({ id, images }) => [id, images[0]]) ?? [])
}

const CARDS_MAX = 50

interface CopyProps {
  of: Item
  image: string | undefined
  cluster: string | null
}

function Copy({ of, image, cluster }: CopyProps) {
  return (
    <li className="minted">
      {image && (
        <img className="mint-picture" src={pictureAddress(image)} alt={of.name} width="240" height="336" />
      )}
      <div className="what">
        <strong>
          {of.name} <span className="number">#{of.serial}</span>
        </strong>
        <span>
          <span className={of.state === 'done' ? 'tag first good' : 'tag first warn'}>
            {text.mint.items[of.state]}
          </span>
        </span>
        {of.error && of.state !== 'done' && <p className="fault small">{text.mint.reason(of.error)}</p>}
        <dl className="chain-facts">
          {of.address && <Fact name={text.mint.address} value={of.address} />}
          {of.signature && (
            <Fact
              name={text.mint.signature}
              value={of.signature}
              href={signatureLink(of.signature, cluster) ?? `/api/v1/copies/${of.copy}/ownership`}
            />
          )}
        </dl>
      </div>
    </li>
  )
}

function Fact({ name, value, href }: { name: string; value: string; href?: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {href ? (
          <a href={href} target="_blank" rel="noreferrer">
            {value}
          </a>
        ) : (
          value
        )}
      </dd>
    </div>
  )
}
