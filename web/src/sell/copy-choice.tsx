import { useEffect, useRef } from 'react'
import { Picture } from '../card/card-picture'
import { useCopies } from '../card/use-copies'
import { type Copy, rest } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { count, text } from '../text/text'
import { Button } from '../ui/button'
import { Empty, Failed, Skeleton } from '../ui/notices'
import { usePages } from '../ui/pages'
import type { FaultCode } from './terms'

const COPIES_MAX = 50
const PAGE = 48

/** The copies with this one among them: first, where it is not there already. */
const withFirst = (copies: Copy[], one: Copy | undefined): Copy[] =>
  !one || copies.some(({ id }) => id === one.id) ? copies : [one, ...copies]

/** One's free copies, to choose what is sold. */
export function CopyChoice({
  chosen,
  choose,
  fault,
}: {
  chosen: readonly string[]
  choose: (copies: readonly string[], first: Copy | undefined) => void
  fault: FaultCode | undefined
}) {
  const copies = usePages(
    (cursor) => rest('get', '/users/me/copies', { query: { place: 'free', limit: PAGE, cursor } }),
    [],
  )
  // The one that another page has chosen, perhaps far down the list.
  const wanted = useRef(chosen[0]).current
  const me = useSession()?.username
  const found = useCopies(wanted === undefined ? [] : [wanted]).get(wanted ?? '')
  const other = found?.owner === me && found?.place === 'free' ? found : undefined
  const items = copies.items && withFirst(copies.items, other)
  const turn = (copy: string) => {
    const next = chosen.includes(copy)
      ? chosen.filter((one) => one !== copy)
      : [...chosen, copy].slice(0, COPIES_MAX)
    choose(
      next,
      items?.find(({ id }) => id === next[0]),
    )
  }
  // A copy that another page has chosen gives the title, once it is known.
  // biome-ignore lint/correctness/useExhaustiveDependencies: when they come
  useEffect(() => {
    const first = items?.find(({ id }) => id === chosen[0])
    if (first) choose(chosen, first)
  }, [items === undefined, other])
  if (!items)
    return copies.error ? <Failed error={copies.error} again={copies.again} /> : <Skeleton lines={4} />
  if (items.length === 0)
    return (
      <Empty title={text.sell.noneTitle}>
        <p>{text.sell.noneText}</p>
        <Link className="button primary" href="/browse">
          {text.sell.browse}
        </Link>
      </Empty>
    )
  return (
    <fieldset className="copy-choice" aria-describedby="copies-note">
      <legend>
        <h2>{text.sell.choose}</h2>
      </legend>
      <p
        id="copies-note"
        className={fault ? 'small fault' : 'small muted'}
        role={fault ? 'alert' : undefined}
      >
        {fault
          ? text.sell.faults[fault]
          : chosen.length > 0
            ? text.sell.chosen(chosen.length)
            : text.sell.chooseHint}
      </p>
      <ul className="copies-grid">
        {items.map((copy, place) => (
          <li key={copy.id}>
            <label className="copy-option">
              <input
                type="checkbox"
                checked={chosen.includes(copy.id)}
                aria-invalid={fault !== undefined && place === 0}
                onChange={() => turn(copy.id)}
              />
              <Picture src={copy.image} name="" sizes="8rem" />
              <span className="choice-name small">
                {text.sell.copyName(copy.name, copy.serial)}
                {copy.grader && copy.grade && (
                  <span className="muted"> {text.card.grade(copy.grader, count(copy.grade / 10))}</span>
                )}
              </span>
            </label>
          </li>
        ))}
      </ul>
      {copies.more && (
        <Button className="more" busy={copies.busy} onClick={copies.more}>
          {text.ui.more}
        </Button>
      )}
    </fieldset>
  )
}
