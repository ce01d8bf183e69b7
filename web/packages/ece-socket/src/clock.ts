const SAMPLES_MAX = 8

interface Sample {
  offsetMs: number
  roundTripMs: number
}

/**
 * The server's clock, as far as a client can know it: of the last round trips the shortest one says most, since the
 * error is at most half of it.
 */
export class ServerClock {
  #samples: Sample[] = []
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Take a round trip that began at `sentAt` and ends now, by this machine's clock. */
  measure(sentAt: number, serverTime: number): void {
    const now = this.#now()
    // This machine's clock was set in between: the sample says nothing.
    if (now < sentAt) return
    const roundTripMs = now - sentAt
    this.#samples.push({ offsetMs: serverTime + roundTripMs / 2 - now, roundTripMs })
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift()
  }

  /** Milliseconds since the epoch, by the server's clock; this machine's until something was measured. */
  now(): number {
    return this.#now() + this.offsetMs
  }

  get offsetMs(): number {
    let best: Sample | undefined
    for (const sample of this.#samples) if (!best || sample.roundTripMs < best.roundTripMs) best = sample
    return best?.offsetMs ?? 0
  }

  /** The last round trip in ms. */
  get latencyMs(): number | undefined {
    return this.#samples.at(-1)?.roundTripMs
  }
}
