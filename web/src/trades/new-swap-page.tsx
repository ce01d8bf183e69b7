import '../styles/trades.css'
import '../styles/account.css'
import { useId, useState } from 'react'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { useIntention } from '../server/intention'
import { rest } from '../server/rest'
import { useAnswer } from '../server/use-answer'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { day, text } from '../text/text'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { Empty } from '../ui/notices'
import { toast } from '../ui/toast'
import type { LinkedWallet } from '../wallet/withdrawal'
import { isOffer, legsBetween, type Side } from './negotiation'
import { Partner } from './partner'
import { amountOf, type Draft, moneyFault, SideChoice } from './side-choice'
import { areApart, givenBy, paymentOf, walletOf } from './swap-terms'
import { useHolders } from './use-holders'
import { useWorth, Worth } from './worth'

/** `?with=` a user. */
export default function NewSwapPage({ query }: ScreenProps) {
  const me = useSession()
  const username = query.get('with')
  const about = useLoaded(
    async (signal) => {
      const { links } = await rest('get', '/wallets', { signal })
      const other = username
        ? await rest('get', '/users/{username}', { path: { username }, signal })
        : undefined
      return { links, other }
    },
    [username, me?.id],
  )
  return (
    <div className="trade-new">
      <Link className="back" href="/trades?tab=swaps">
        ← {text.swaps.back}
      </Link>
      <h1>{text.swaps.propose}</h1>
      <p className="muted">{text.swaps.proposeAbout}</p>
      <Shown of={about}>
        {({ links, other }) => {
          if (links.length === 0) return <NoWallet />
          return other && me && other.id !== me.id ? (
            <Swap key={other.id} me={me.id} other={other} links={links} />
          ) : (
            <Partner to={(name) => `/trades/swaps/new?with=${name}`} />
          )
        }}
      </Shown>
    </div>
  )
}

function NoWallet() {
  return (
    <Empty title={text.swaps.noLinked}>
      <p className="muted">{text.swaps.noLinkedText}</p>
      <Link className="button primary" href="/wallet?tab=wallets">
        {text.wallet.toLink}
      </Link>
    </Empty>
  )
}

class Incomplete extends Error {}

interface SwapProps {
  me: string
  other: { id: string; username: string }
  links: readonly LinkedWallet[]
}

// How long both have to sign.
const OPEN_MS = 86_400_000
const NOTHING: Draft = { copies: [], typed: '' }
const sideOf = (draft: Draft): Side => ({ copies: draft.copies, money: amountOf(draft) ?? 0 })

/** Cards in the wallets of both, and money of one of them. */
function Swap({ me, other, links }: SwapProps) {
  const [mine, setMine] = useState(NOTHING)
  const [theirs, setTheirs] = useState(NOTHING)
  const [own, setOwn] = useState(links[0]?.address ?? '')
  const [named, setNamed] = useState('')
  const holders = useHolders([...mine.copies, ...theirs.copies])
  const intention = useIntention()
  const [give, get] = [sideOf(mine), sideOf(theirs)]
  const apart = areApart(mine.copies, holders) || areApart(theirs.copies, holders)
  const wrong = moneyFault(amountOf(mine), amountOf(theirs)) ?? (apart ? text.swaps.apart : undefined)
  const from = walletOf(mine.copies, holders, own)
  const to = walletOf(theirs.copies, holders, named.trim())
  const body =
    wrong === undefined && isOffer(give, get) && from !== undefined && to !== undefined
      ? {
          counterparty: other.username,
          gives: givenBy(from, give),
          takes: givenBy(to, get),
          duration_ms: OPEN_MS,
        }
      : undefined
  const legs = wrong === undefined ? legsBetween(me, other.id, give, get) : []
  const worth = useWorth(legs)
  const preview = useAnswer(body, (about, signal) =>
    rest('post', '/wallets/swap-previews', { body: about, signal }),
  )
  const value = worth.value?.parties.find(({ user }) => user === me)
  return (
    <div className="compose">
      <div className="with">
        <p>{text.swaps.with(other.username)}</p>
        <Link className="button quiet" href="/trades/swaps/new">
          {text.compose.another}
        </Link>
      </div>
      <div className="sides">
        <SideChoice
          title={text.compose.yours}
          none={text.swaps.noYours}
          about={me}
          load={(cursor) => rest('get', '/users/me/copies', { query: { place: 'withdrawn', cursor } })}
          draft={mine}
          change={setMine}
          prices={worth.value?.copies}
          value={value?.gives}
        >
          {mine.copies.length > 0 ? (
            <InWallet address={from} />
          ) : (
            <OwnWallet of={links} chosen={own} choose={setOwn} />
          )}
        </SideChoice>
        <SideChoice
          title={text.compose.theirs(other.username)}
          none={text.swaps.noTheirs(other.username)}
          about={other.id}
          load={(cursor) =>
            rest('get', '/users/{username}/copies', {
              path: { username: other.username },
              query: { place: 'withdrawn', cursor },
            })
          }
          draft={theirs}
          change={setTheirs}
          prices={worth.value?.copies}
          value={value?.gets}
        >
          {theirs.copies.length > 0 ? (
            <InWallet address={to} />
          ) : (
            <TheirWallet name={other.username} value={named} change={setNamed} />
          )}
        </SideChoice>
      </div>
      <Worth
        worth={worth}
        payment={preview.value && paymentOf(preview.value.legs)}
        error={preview.error ?? worth.error}
        begun={legs.length > 0}
        wrong={wrong}
        me={me}
        name={other.username}
        pays={give.money > 0}
      />
      <Form
        submit={text.swaps.propose}
        say={(error) => (error instanceof Incomplete ? error.message : undefined)}
        onSubmit={async () => {
          if (wrong !== undefined || !isOffer(give, get))
            throw new Incomplete(wrong ?? text.compose.needsBoth)
          if (!body) throw new Incomplete(text.swaps.needsWallet(other.username))
          await intention.send(body, (key) => rest('post', '/wallets/swaps', { key, body }))
          toast(text.swaps.proposed)
          navigate('/trades?tab=swaps')
        }}
      />
    </div>
  )
}

function InWallet({ address }: { address: string | undefined }) {
  return address === undefined ? null : (
    <p className="small wrap">
      {text.swaps.inWallet} <code>{address}</code>
    </p>
  )
}

function OwnWallet({
  of,
  chosen,
  choose,
}: {
  of: readonly LinkedWallet[]
  chosen: string
  choose: (address: string) => void
}) {
  return (
    <label className="field">
      {text.swaps.yourWallet}
      <select value={chosen} onChange={(event) => choose(event.target.value)}>
        {of.map(({ address, linked_at }) => (
          <option key={address} value={address}>
            {address} · {text.wallet.linkedAt(day(linked_at))}
          </option>
        ))}
      </select>
    </label>
  )
}

function TheirWallet({
  name,
  value,
  change,
}: {
  name: string
  value: string
  change: (address: string) => void
}) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{text.swaps.theirWallet(name)}</label>
      <input
        id={id}
        value={value}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        maxLength={44}
        aria-describedby={`${id}-hint`}
        onChange={(event) => change(event.target.value)}
      />
      <span className="hint" id={`${id}-hint`}>
        {text.swaps.theirWalletHint}
      </span>
    </div>
  )
}
