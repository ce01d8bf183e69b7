import type { ReactNode } from 'react'
import { Problem } from '../server/problem'
import { text } from '../text/text'
import { Empty, Failed, Skeleton } from '../ui/notices'

interface Loading<T> {
  value: T | undefined
  error: unknown
  again: () => void
}

/** What only operators may see; to others a clear answer. */
export function StaffOnly<T>({ of, children }: { of: Loading<T>; children: (value: T) => ReactNode }) {
  if (of.error instanceof Problem && of.error.code === 'forbidden')
    return (
      <Empty title={text.operation.staffTitle}>
        <p className="muted">{text.operation.staffText}</p>
      </Empty>
    )
  if (of.value !== undefined) return children(of.value)
  return of.error === undefined ? <Skeleton lines={6} /> : <Failed error={of.error} again={of.again} />
}
