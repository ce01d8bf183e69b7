import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { count, text } from '../text/text'
import { Shown, useLoaded } from '../ui/loaded'

/** Who has a copy on the chain, as it says now. */
export function Ownership({ copy }: { copy: string }) {
  const say = text.card
  const proof = useLoaded(
    (signal) =>
      rest('get', '/copies/{copy_id}/ownership', { path: { copy_id: copy }, signal }).catch(
        (error: unknown) => {
          if (error instanceof Problem && error.status === 404) return null
          throw error
        },
      ),
    [copy],
  )
  return (
    <section>
      <h3>{say.proofTitle}</h3>
      <Shown of={proof}>
        {(held) =>
          held === null ? (
            <p className="muted">{say.notMinted}</p>
          ) : (
            <>
              <p className={held.agrees === false && !held.moving ? 'fault' : undefined}>
                {held.agrees === null
                  ? say.silent
                  : held.moving
                    ? say.moving
                    : held.agrees
                      ? `✓ ${say.agrees}`
                      : say.disagrees}
                {held.chain && <span className="muted small"> · {say.asOf(count(held.chain.slot))}</span>}
              </p>
              <dl className="proof small">
                <dt>{say.asset}</dt>
                <dd>
                  <a href={`/api/v1/assets/${held.asset}`}>
                    <code>{held.asset}</code>
                  </a>
                </dd>
                <dt>{say.holder}</dt>
                <dd>
                  <code>{held.chain?.holder ?? held.holder}</code>
                </dd>
                <dt>{say.standard}</dt>
                <dd>{held.standard}</dd>
              </dl>
            </>
          )
        }
      </Shown>
    </section>
  )
}
