import { useSyncExternalStore } from 'react'
import { problemText } from '../text/problems'
import { text } from '../text/text'

interface Toast {
  id: number
  message: string
  bad: boolean
}

const SHOWN_MS = 6_000
const SHOWN_MAX = 3

let toasts: readonly Toast[] = []
let last = 0
const listeners = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const listener of [...listeners]) listener()
}

const drop = (id: number) => set(toasts.filter((one) => one.id !== id))

/** Say something that needs no answer. It is heard, too. */
export function toast(message: string, bad = false): void {
  const id = ++last
  set([...toasts, { id, message, bad }].slice(-SHOWN_MAX))
  // A fault stays until somebody has read it.
  if (!bad) setTimeout(() => drop(id), SHOWN_MS)
}

/** Do something for which there is no form: what went wrong is said. Whether it was done. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    toast(problemText(error), true)
    return false
  }
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => toasts,
  )
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map(({ id, message, bad }) => (
        <p key={id} className={bad ? 'toast bad' : 'toast'}>
          <span>{message}</span>
          <button className="button quiet" type="button" onClick={() => drop(id)}>
            {text.ui.dismiss}
          </button>
        </p>
      ))}
    </div>
  )
}
