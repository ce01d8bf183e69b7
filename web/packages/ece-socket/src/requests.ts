import { ConnectionLost } from './errors'
import type { Reply } from './frames'

interface Waiting {
  resolve(reply: Reply): void
  reject(error: Error): void
  timer: ReturnType<typeof setTimeout>
}

/** The frames of one connection that wait for their replies. */
export class Requests {
  #last = 0
  readonly #waiting = new Map<number, Waiting>()

  /** Send a frame under a new id; rejects with ConnectionLost after `withinMs`, having called `onSilence`. */
  ask(send: (text: string) => void, frame: object, withinMs: number, onSilence: () => void): Promise<Reply> {
    const id = ++this.#last
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new ConnectionLost('no reply in time'))
        onSilence()
      }, withinMs)
      this.#waiting.set(id, { resolve, reject, timer })
      send(JSON.stringify({ ...frame, id }))
    })
  }

  answer(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id as number)
    if (!waiting) return
    this.#waiting.delete(reply.id as number)
    clearTimeout(waiting.timer)
    waiting.resolve(reply)
  }

  /** The connection is gone: none of them will be answered. */
  fail(): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { timer, reject } of all) {
      clearTimeout(timer)
      reject(new ConnectionLost('the connection was lost'))
    }
  }
}
