import { useState } from 'react'
import { newKey } from '../server/key'
import { rest, type Schema } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Form } from '../ui/form'
import { List, usePages } from '../ui/pages'
import { attempt, toast } from '../ui/toast'
import { JobFacts } from './job-facts'

type Job = Schema<'JobItem'>

/** Jobs whose retries have ended. They are read again when the number of `dead` ones changes. */
export function FailedJobs({ dead }: { dead: number }) {
  const [discarding, setDiscarding] = useState<Job>()
  const jobs = usePages((cursor) => rest('get', '/admin/jobs', { query: { state: 'dead', cursor } }), [dead])
  const gone = ({ kind, key }: Job) =>
    jobs.change((items) => items.filter((one) => one.kind !== kind || one.key !== key))
  const retry = async (job: Job) => {
    const path = { kind: job.kind, key: job.key }
    const done = await attempt(() => rest('post', '/admin/jobs/{kind}/{key}/retry', { path, key: newKey() }))
    if (!done) return
    toast(text.operation.retried)
    gone(job)
  }
  return (
    <section className="panel operation-section">
      <div>
        <h2>{text.operation.failedJobs}</h2>
        <p className="muted small">{text.operation.failedAbout}</p>
      </div>
      <List
        of={jobs}
        name={text.operation.failedJobs}
        empty={<p className="muted">{text.operation.noFailed}</p>}
      >
        {(job) => (
          <li key={`${job.kind} ${job.key}`}>
            <JobFacts job={job} />
            <span className="buttons">
              <Button
                onClick={() => void retry(job)}
                aria-label={`${text.operation.retry}: ${job.kind} ${job.key}`}
              >
                {text.operation.retry}
              </Button>
              <Button
                kind="quiet"
                onClick={() => setDiscarding(job)}
                aria-label={`${text.operation.discard}: ${job.kind} ${job.key}`}
              >
                {text.operation.discard}
              </Button>
            </span>
          </li>
        )}
      </List>
      {discarding && (
        <Discard
          job={discarding}
          close={() => setDiscarding(undefined)}
          done={() => {
            gone(discarding)
            setDiscarding(undefined)
          }}
        />
      )}
    </section>
  )
}

function Discard({ job, close, done }: { job: Job; close: () => void; done: () => void }) {
  const [key] = useState(newKey)
  return (
    <Dialog title={text.operation.discardTitle} onClose={close}>
      <p>{text.operation.discardText(`${job.kind} ${job.key}`)}</p>
      <Form
        kind="warn"
        submit={text.operation.discard}
        beside={<Button onClick={close}>{text.ui.cancel}</Button>}
        onSubmit={async () => {
          const path = { kind: job.kind, key: job.key }
          await rest('post', '/admin/jobs/{kind}/{key}/discard', { path, key })
          toast(text.operation.discarded)
          done()
        }}
      />
    </Dialog>
  )
}
