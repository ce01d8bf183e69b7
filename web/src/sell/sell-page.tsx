import '../styles/sell.css'
import { useRef, useState } from 'react'
import { socket } from '../connection'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { useIntention } from '../server/intention'
import { type Copy, rest } from '../server/rest'
import { Link } from '../shell/link'
import { problemText } from '../text/problems'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { toast } from '../ui/toast'
import { CopyChoice } from './copy-choice'
import { Preview } from './preview'
import { type Draft, faultsOf, termsOf } from './terms'
import { TermsFields } from './terms-fields'

const EMPTY: Draft = {
  copies: [],
  title: '',
  start: '',
  reserve: '',
  buyNow: '',
  duration: 'threeDays',
  softClose: true,
  beginsAt: '',
}

export default function SellPage({ query }: ScreenProps) {
  const wanted = query.get('copy')
  const [draft, setDraft] = useState<Draft>({ ...EMPTY, copies: wanted ? [wanted] : [] })
  const [titled, setTitled] = useState(false)
  const change = (part: Partial<Draft>) => {
    if (part.title !== undefined) setTitled(part.title !== '')
    setDraft((old) => ({ ...old, ...part }))
  }
  // The title is the card's name until somebody writes another.
  const choose = (copies: readonly string[], first: Copy | undefined) =>
    setDraft((old) => ({ ...old, copies, title: titled || !first ? old.title : titleOf(first) }))
  return (
    <section className="sell">
      <header className="sell-head">
        <div>
          <h1>{text.sell.heading}</h1>
          <p className="muted">{text.sell.intro}</p>
        </div>
        <Link className="button" href="/listings">
          {text.sell.listingsTitle}
        </Link>
      </header>
      <ListingForm draft={draft} change={change} choose={choose} />
    </section>
  )
}

const titleOf = ({ name, number }: Copy) => `${name} · ${number}`

interface FormProps {
  draft: Draft
  change: (part: Partial<Draft>) => void
  choose: (copies: readonly string[], first: Copy | undefined) => void
}

function ListingForm({ draft, change, choose }: FormProps) {
  const [tried, setTried] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const form = useRef<HTMLFormElement>(null)
  const intention = useIntention()
  const faults = faultsOf(draft, socket.clock.now())
  const sound = Object.keys(faults).length === 0

  const list = async () => {
    setTried(true)
    if (!sound) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
      return
    }
    const body = termsOf(draft)
    setBusy(true)
    setError(undefined)
    try {
      const made = await intention.send(body, (key) => rest('post', '/auctions', { body, key }))
      toast(text.sell.listed)
      navigate(`/auctions/${made.id}`)
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }

  return (
    <form
      className="sell-form"
      ref={form}
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        if (!busy) void list()
      }}
    >
      <div className="sell-steps">
        <CopyChoice chosen={draft.copies} choose={choose} fault={tried ? faults.copies : undefined} />
        <TermsFields draft={draft} change={change} faults={tried ? faults : {}} />
      </div>
      <aside className="sell-side panel" aria-label={text.sell.preview}>
        <Preview terms={sound ? termsOf(draft) : undefined} sent={busy} />
        <div role="alert">{error !== undefined && <p className="fault">{problemText(error)}</p>}</div>
        <Button type="submit" kind="primary" wide busy={busy}>
          {text.sell.list}
        </Button>
        <p className="small muted">{text.sell.feeNote}</p>
      </aside>
    </form>
  )
}
