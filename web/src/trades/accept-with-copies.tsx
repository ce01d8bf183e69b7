import { useId } from 'react'
import { whichCopy } from '../card/copy-tile'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Dialog } from '../ui/dialog'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import type { Leg } from './negotiation'
import { conditionText } from './sides'

type Condition = NonNullable<Leg['conditions']>[number]
const SHOWN_MAX = 100

interface Props {
  conditions: readonly Condition[]
  /** Rejects with a Problem: it is shown here, since what is behind a dialog is not read. */
  accept: (copies: string[]) => Promise<void>
  onClose: () => void
}

/** The offer leaves it to us which copies we give: name one for each condition. */
export function AcceptWithCopies({ conditions, accept, onClose }: Props) {
  const mine = useLoaded(
    (signal) => rest('get', '/users/me/copies', { query: { place: 'free', limit: SHOWN_MAX }, signal }),
    [],
  )
  const id = useId()
  return (
    <Dialog title={text.trades.chooseCopies} onClose={onClose}>
      <Shown of={mine}>
        {({ items }) => (
          <Form
            submit={text.trades.accept}
            onSubmit={(values) => accept(conditions.map((_, place) => values(`copy${place}`)))}
          >
            {conditions.map((condition, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two may be the same, and their order stays
              <div className="field" key={`${place} ${JSON.stringify(condition)}`}>
                <label htmlFor={`${id}-${place}`}>{text.trades.chooseFor(conditionText(condition))}</label>
                <select id={`${id}-${place}`} name={`copy${place}`} required defaultValue="">
                  <option value="" disabled>
                    {text.trades.choose}
                  </option>
                  {items
                    .filter(({ card }) => condition.card === undefined || condition.card === card)
                    .map((copy) => (
                      <option key={copy.id} value={copy.id}>
                        {copy.name} · {whichCopy(copy)}
                      </option>
                    ))}
                </select>
              </div>
            ))}
          </Form>
        )}
      </Shown>
    </Dialog>
  )
}
