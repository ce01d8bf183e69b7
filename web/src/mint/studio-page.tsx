import '../styles/mint.css'
import { type FormEvent, useState } from 'react'
import { rest } from '../server/rest'
import { Link } from '../shell/link'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty } from '../ui/notices'
import { List, usePages } from '../ui/pages'
import { toast } from '../ui/toast'
import { changed, codeOf, copiesOf, type Draft, type DraftState, isOpen, withFiles } from './draft'
import { DraftRow, progressText, RARITIES } from './draft-row'
import { DropZone } from './drop-zone'
import { type CardSet, mintDraft } from './mint-draft'

export default function StudioPage() {
  const [asked, setAsked] = useState(0)
  return (
    <div className="mint-page">
      <h1>{text.mint.title}</h1>
      <p className="muted">{text.mint.about}</p>
      <Studio minted={() => setAsked((count) => count + 1)} />
      <Mints asked={asked} />
    </div>
  )
}

/** From files to requests to mint: each card by itself, so that one that fails holds up no other. */
function Studio({ minted }: { minted: () => void }) {
  const [drafts, setDrafts] = useState<readonly Draft[]>([])
  const [setName, setSetName] = useState('')
  const [busy, setBusy] = useState(false)
  const update = (id: string, next: (draft: Draft) => Draft) =>
    setDrafts((all) => all.map((one) => (one.id === id ? next(one) : one)))
  const tell = (id: string) => (state: DraftState) => update(id, (one) => ({ ...one, state }))
  const take = (files: File[]) => {
    const taken = withFiles(drafts, files, RARITIES[0])
    setDrafts(taken.drafts)
    for (const { name, fault } of taken.refused) toast(`${name}: ${text.mint.faults[fault]}`, true)
  }
  const set: CardSet = { name: setName.trim(), code: codeOf(setName) }
  const mintAll = async (wanted: readonly Draft[]) => {
    setBusy(true)
    // One after the other: a phone's uplink is narrow, and the server takes few uploads of one user at once.
    for (const draft of wanted) await mintDraft(draft, set, tell(draft.id))
    setBusy(false)
    minted()
  }
  const open = drafts.filter(isOpen)
  const ready = open.filter((one) => one.name.trim() && one.number.trim() && copiesOf(one) !== undefined)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (!busy && set.code && ready.length === open.length) void mintAll(ready)
  }
  return (
    <form className="panel studio" onSubmit={submit}>
      <DropZone take={take} disabled={busy} />
      {drafts.length > 0 && (
        <>
          <SetField
            name={setName}
            code={set.code}
            change={setSetName}
            fixed={open.length < drafts.length || busy}
          />
          <ul className="drafts" aria-label={text.mint.cards}>
            {drafts.map((draft) => (
              <DraftRow
                key={draft.id}
                draft={draft}
                change={(fields) => update(draft.id, (one) => changed(one, fields))}
                remove={() => setDrafts((all) => all.filter(({ id }) => id !== draft.id))}
                again={() => void mintAll([draft])}
              />
            ))}
          </ul>
          <div className="buttons">
            {open.length > 0 ? (
              <Button
                type="submit"
                kind="primary"
                busy={busy}
                disabled={ready.length < open.length || !set.code}
              >
                {text.mint.start(open.length)}
              </Button>
            ) : (
              !busy && <Button onClick={() => setDrafts([])}>{text.mint.more}</Button>
            )}
          </div>
        </>
      )}
    </form>
  )
}

interface SetFieldProps {
  name: string
  code: string
  change: (name: string) => void
  /** Cards of it are minted already. */
  fixed: boolean
}

function SetField({ name, code, change, fixed }: SetFieldProps) {
  return (
    <div className="field set-field">
      <label htmlFor="mint-set">{text.mint.set}</label>
      <input
        id="mint-set"
        value={name}
        required
        maxLength={60}
        disabled={fixed}
        aria-describedby="mint-set-hint"
        onChange={(event) => change(event.target.value)}
      />
      <span className="hint" id="mint-set-hint">
        {code ? text.mint.setCode(code) : text.mint.setHint}
      </span>
    </div>
  )
}

/** What was minted before, and is being minted now. */
function Mints({ asked }: { asked: number }) {
  const pages = usePages((cursor) => rest('get', '/mints', { query: { cursor } }), [asked])
  return (
    <section className="panel">
      <h2>{text.mint.yours}</h2>
      <List of={pages} name={text.mint.yours} empty={<NoMints />}>
        {(one) => (
          <li key={one.id}>
            <span className="what">
              <Link href={`/mints/${one.id}`}>{progressText({ ...one, status: one.state })}</Link>
              <span className="muted small">{moment(one.created_at)}</span>
            </span>
          </li>
        )}
      </List>
    </section>
  )
}

function NoMints() {
  return (
    <Empty title={text.mint.none}>
      <p className="muted">{text.mint.noneText}</p>
    </Empty>
  )
}
