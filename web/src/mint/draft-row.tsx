import { type ChangeEvent, useId } from 'react'
import { Link } from '../shell/link'
import { problemText } from '../text/problems'
import { count, text } from '../text/text'
import { Button } from '../ui/button'
import { copiesOf, type Draft, isOpen } from './draft'
import { FilePicture } from './file-picture'
import { ProgressBar } from './progress-bar'
import { useMint } from './use-mint'

export const RARITIES = ['common', 'uncommon', 'rare', 'epic', 'legendary'] as const

interface Props {
  draft: Draft
  change: (fields: Partial<Draft>) => void
  remove: () => void
  again: () => void
}

/** One card: its picture, its fields, and how far it is. */
export function DraftRow({ draft, change, remove, again }: Props) {
  const open = isOpen(draft)
  return (
    <li className="draft">
      <FilePicture file={draft.file} label={text.mint.preview(draft.name)} />
      <fieldset className="draft-fields" disabled={!open}>
        <legend className="visually-hidden">{text.mint.card(draft.name)}</legend>
        <DraftFields draft={draft} change={change} />
      </fieldset>
      <div className="draft-state">
        <State draft={draft} />
        {open && (
          <div className="buttons">
            {draft.state.kind === 'failed' && <Button onClick={again}>{text.ui.again}</Button>}
            <Button kind="quiet" onClick={remove} aria-label={`${text.mint.remove}: ${draft.name}`}>
              {text.mint.remove}
            </Button>
          </div>
        )}
      </div>
    </li>
  )
}

function DraftFields({ draft, change }: Pick<Props, 'draft' | 'change'>) {
  const id = useId()
  const set = (name: 'name' | 'number' | 'copies') => ({
    id: `${id}-${name}`,
    value: draft[name],
    required: true,
    onChange: (event: ChangeEvent<HTMLInputElement>) => change({ [name]: event.target.value }),
  })
  return (
    <>
      <div className="field draft-name">
        <label htmlFor={`${id}-name`}>{text.mint.name}</label>
        <input {...set('name')} maxLength={200} />
      </div>
      <div className="field">
        <label htmlFor={`${id}-number`}>{text.mint.number}</label>
        <input {...set('number')} maxLength={32} />
      </div>
      <div className="field">
        <label htmlFor={`${id}-rarity`}>{text.mint.rarity}</label>
        <select
          id={`${id}-rarity`}
          value={draft.rarity}
          onChange={(event) => change({ rarity: event.target.value })}
        >
          {RARITIES.map((one) => (
            <option key={one} value={one}>
              {text.mint.rarities[one]}
            </option>
          ))}
        </select>
      </div>
      <div className="field">
        <label htmlFor={`${id}-copies`}>{text.mint.copies}</label>
        <input {...set('copies')} inputMode="numeric" aria-invalid={copiesOf(draft) === undefined} />
      </div>
    </>
  )
}

function State({ draft: { state } }: { draft: Draft }) {
  const progress = useMint(state.kind === 'minting' ? state.mint : undefined)
  if (state.kind === 'failed')
    return (
      <p className="fault" role="alert">
        {problemText(state.error)}
      </p>
    )
  if (state.kind === 'uploading')
    return (
      <>
        <p>{text.mint.uploading}</p>
        <ProgressBar part={state.part} label={text.mint.uploading} />
      </>
    )
  if (state.kind === 'creating') return <p>{text.mint.creating}</p>
  if (state.kind === 'ready') return null
  return (
    <>
      <p role="status">{progress ? progressText(progress) : text.mint.queued}</p>
      {progress?.status === 'minting' && (
        <ProgressBar part={progress.done / progress.total} label={text.mint.states.minting} />
      )}
      <Link className="button" href={`/mints/${state.mint}`}>
        {text.mint.look}
      </Link>
    </>
  )
}

export function progressText(of: {
  status: 'minting' | 'done' | 'failed'
  total: number
  done: number
}): string {
  const state = of.status === 'failed' && of.done === 0 ? 'allFailed' : of.status
  return `${text.mint.states[state]} · ${text.mint.of(count(of.done), count(of.total))}`
}
