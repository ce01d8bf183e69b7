import { text } from '../text/text'
import type { Status } from './negotiation'

const KINDS: Partial<Record<Status, 'good' | 'warn'>> = {
  agreed: 'warn',
  disputed: 'warn',
  executed: 'good',
  completed: 'good',
}

export function StatusTag({ status }: { status: Status }) {
  return <span className={`tag ${KINDS[status] ?? 'plain-tag'}`}>{text.trades.status[status]}</span>
}
