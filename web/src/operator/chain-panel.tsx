import type { Schema } from '../server/rest'
import { count, text } from '../text/text'
import { PoisonedJobs } from './poisoned-jobs'

const LAMPORTS = 1_000_000_000

/** Work on the chain, and who does it. */
export function ChainPanel({ chain, exists }: { chain: Schema<'ChainState'> | null; exists: boolean }) {
  const t = text.operation
  return (
    <section className="panel operation-section">
      <h2>{t.chain}</h2>
      {chain === null ? (
        <p className="muted">{exists ? t.notRead : t.noChain}</p>
      ) : (
        <>
          <dl className="key-figures">
            {(
              [
                [t.queued, count(chain.queued)],
                [t.signed, count(chain.signed)],
                [t.poisoned, count(chain.poisoned)],
                [t.openTransactions, count(chain.open_transactions)],
                [t.oldestQueued, t.seconds(count(Math.round(chain.oldest_queued_ms / 1000)))],
              ] as const
            ).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd className="number">{value}</dd>
              </div>
            ))}
          </dl>
          {chain.actors.length === 0 ? (
            <p className="muted">{t.noActors}</p>
          ) : (
            <ul className="rows" aria-label={t.actors}>
              {chain.actors.map((actor) => (
                <li key={actor.name}>
                  <span className="what">
                    <span>
                      {actor.name}{' '}
                      <span className={actor.note === null ? 'tag first good' : 'tag first warn'}>
                        {actor.note ?? t.works}
                      </span>
                    </span>
                    <span className="muted small number">
                      {t.actorLine(count((actor.balance ?? 0) / LAMPORTS), count(actor.jobs_per_s))}
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          )}
          <PoisonedJobs poisoned={chain.poisoned} />
        </>
      )}
    </section>
  )
}
