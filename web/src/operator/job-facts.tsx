import { moment, text } from '../text/text'

interface Job {
  kind: string
  key: string
  error: string | null
  attempts: number
  created_at: number
}

/** What a job is, and why it failed. */
export function JobFacts({ job }: { job: Job }) {
  return (
    <span className="what">
      <span>
        {job.kind} <code className="muted">{job.key}</code>
      </span>
      <span className="fault small">{job.error}</span>
      <span className="muted small">
        {text.operation.attempts(job.attempts)} · {moment(job.created_at)}
      </span>
    </span>
  )
}
