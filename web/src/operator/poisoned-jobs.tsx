import { useState } from 'react'
import { newKey } from '../server/key'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { List, usePages } from '../ui/pages'
import { attempt, toast } from '../ui/toast'
import { JobFacts } from './job-facts'

/** Jobs for the chain that are not tried again. They are read again when the number of `poisoned` ones changes. */
export function PoisonedJobs({ poisoned }: { poisoned: number }) {
  const jobs = usePages((cursor) => rest('get', '/admin/mints/poisoned', { query: { cursor } }), [poisoned])
  const retried = (mint: string) => jobs.change((items) => items.filter((one) => one.mint !== mint))
  return (
    <>
      <div>
        <h3>{text.operation.poisonedJobs}</h3>
        <p className="muted small">{text.operation.poisonedAbout}</p>
      </div>
      <List
        of={jobs}
        name={text.operation.poisonedJobs}
        empty={<p className="muted">{text.operation.noPoisoned}</p>}
      >
        {(job) => (
          <li key={job.id}>
            <JobFacts job={job} />
            {job.mint === null ? (
              <span className="muted small">{text.operation.noMint}</span>
            ) : (
              <Retry mint={job.mint} retried={retried} />
            )}
          </li>
        )}
      </List>
    </>
  )
}

function Retry({ mint, retried }: { mint: string; retried: (mint: string) => void }) {
  const [key] = useState(newKey)
  const retry = () =>
    attempt(async () => {
      const { jobs } = await rest('post', '/admin/mints/{mint_id}/retry', { path: { mint_id: mint }, key })
      toast(text.operation.mintRetried(jobs))
      retried(mint)
    })
  return (
    <Button onClick={() => void retry()} aria-label={`${text.operation.retryMint}: ${mint}`}>
      {text.operation.retryMint}
    </Button>
  )
}
