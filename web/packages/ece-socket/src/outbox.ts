import { ConnectionLost, NotConnected, OutcomeUnknown } from './errors'
import type { Reply } from './frames'

const OUTBOX_MAX = 32
const RETRY_MS = 500
// After these nobody knows whether it happened; the same key makes a retry safe. All others: nothing happened.
const UNKNOWN_CODES = new Set(['unavailable', 'internal_error', 'still_running'])
// Decided before the key is looked up: they say nothing of an earlier attempt.
const NOT_NOW_CODES = new Set(['overloaded', 'rate_limited'])
const ACCESS_CODES = new Set(['unauthenticated', 'forbidden', 'email_not_verified'])

interface Command {
  frame: { op: string; key: string }
  resolve(reply: Reply): void
  reject(error: Error): void
  retry: ReturnType<typeof setTimeout> | undefined
  /** An attempt may have been carried out. */
  doubtful: boolean
}

/**
 * Commands with a key, until their outcome is known: sent again after a lost connection, and after an answer that
 * leaves the outcome open.
 */
export class Outbox {
  readonly #commands = new Map<string, Command>()
  // Whose they are.
  #user: string | undefined
  readonly #ask: (frame: object) => Promise<Reply>

  constructor(ask: (frame: object) => Promise<Reply>) {
    this.#ask = ask
  }

  get size(): number {
    return this.#commands.size
  }

  /**
   * The definite answer. Rejects with NotConnected (nothing happened) or OutcomeUnknown: after `withinMs`, or where the
   * user may not send it any more.
   */
  send(frame: { op: string; key: string }, withinMs: number): Promise<Reply> {
    if (this.#commands.size >= OUTBOX_MAX) return Promise.reject(new NotConnected('too many commands wait'))
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(deadline)
        this.#remove(frame.key)
      }
      const failed = (error: Error) => {
        end()
        reject(error)
      }
      const done = (reply: Reply) => {
        end()
        resolve(reply)
      }
      const deadline = setTimeout(() => failed(new OutcomeUnknown('no answer in time')), withinMs)
      const command: Command = { frame, resolve: done, reject: failed, retry: undefined, doubtful: false }
      this.#commands.set(frame.key, command)
      void this.#attempt(command)
    })
  }

  /** There is a connection again, of this user: send what has no answer. As another user it would be another command. */
  flush(user: string | undefined): void {
    if (user !== this.#user) {
      for (const command of [...this.#commands.values()])
        command.reject(new OutcomeUnknown('the user has changed before the answer'))
      this.#user = user
    }
    for (const command of this.#commands.values()) void this.#attempt(command)
  }

  async #attempt(command: Command): Promise<void> {
    clearTimeout(command.retry)
    let reply: Reply
    try {
      reply = await this.#ask(command.frame)
    } catch (error) {
      command.doubtful ||= error instanceof ConnectionLost
      return // the next connection flushes
    }
    if (this.#commands.get(command.frame.key) !== command) return
    if (reply.ok) return command.resolve(reply)
    const { code, message } = reply.error
    command.doubtful ||= UNKNOWN_CODES.has(code)
    if (!command.doubtful) return command.resolve(reply)
    if (ACCESS_CODES.has(code)) return command.reject(new OutcomeUnknown(message))
    if (!UNKNOWN_CODES.has(code) && !NOT_NOW_CODES.has(code)) return command.resolve(reply)
    command.retry = setTimeout(() => void this.#attempt(command), reply.error.retry_after_ms ?? RETRY_MS)
  }

  #remove(key: string): void {
    clearTimeout(this.#commands.get(key)?.retry)
    this.#commands.delete(key)
  }
}
