import { useState } from 'react'
import { newKey } from './key'
import { Problem } from './problem'

/** What a form asks for: sent again after an unknown outcome, it has the same key, and so takes effect once. */
export class Intention {
  #kept: { about: string; key: string } | undefined

  /** Send this content under its key. Another content, or a known outcome, is the end of the intention. */
  async send<T>(content: unknown, send: (key: string) => Promise<T>): Promise<T> {
    const about = JSON.stringify(content)
    if (this.#kept?.about !== about) this.#kept = { about, key: newKey() }
    try {
      const done = await send(this.#kept.key)
      this.#kept = undefined
      return done
    } catch (error) {
      if (error instanceof Problem && !error.isUndecided) this.#kept = undefined
      throw error
    }
  }
}

export function useIntention(): Intention {
  return useState(() => new Intention())[0]
}
