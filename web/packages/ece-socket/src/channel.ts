import {
  type EventFrame,
  isPlaced,
  isState,
  type Position,
  type SignalFrame,
  type StateFrame,
  type SubscribeReply,
  type Update,
} from './frames'

const HELD_MAX = 256

export type Follower = (update: Update<never>) => void

/**
 * One followed channel: where its followers are, and what reaches them: each event once, in order, or a state in place
 * of what was missed.
 */
export class Channel {
  readonly followers = new Set<Follower>()
  position: Position | undefined
  #syncing = false
  // What came while the missing events are asked for.
  #held: (EventFrame | StateFrame)[] = []

  constructor(readonly name: string) {}

  /** A subscription is asked for: until `synced`, frames wait. */
  beginSync(): void {
    this.#syncing = true
    this.#held = []
  }

  /** Take the reply to `subscribe`, then what came meanwhile. True: events are missing, subscribe again. */
  synced(reply: SubscribeReply): boolean {
    this.#syncing = false
    const { epoch, seq, watchers } = reply
    for (const event of reply.events ?? []) this.#install(event)
    if (!reply.recovered) {
      this.#installState({
        channel: this.name,
        epoch,
        seq,
        at: 0,
        type: 'state',
        data: reply.state,
        watchers,
      })
    }
    this.#tell({ kind: 'watchers', watchers })
    const held = this.#held
    this.#held = []
    return held.some((frame) => this.take(frame))
  }

  /** Take a frame that came by itself. True: events before it are missing, subscribe again. */
  take(frame: EventFrame | StateFrame | SignalFrame): boolean {
    if (!isPlaced(frame)) {
      this.#tell({ kind: 'signal', signal: frame })
      return false
    }
    if (this.#syncing) {
      if (this.#held.length < HELD_MAX) this.#held.push(frame)
      return false
    }
    if (isState(frame)) {
      if (this.#isNewer(frame)) this.#installState(frame)
      else if (frame.watchers !== undefined) this.#tell({ kind: 'watchers', watchers: frame.watchers })
      return false
    }
    if (!this.#isNewer(frame)) return false
    if (this.position && (frame.epoch !== this.position.epoch || frame.seq !== this.position.seq + 1))
      return true
    this.#install(frame)
    return false
  }

  /** Tell the followers that they can't have this channel. */
  refuse(update: Extract<Update<never>, { kind: 'refused' }>): void {
    this.#tell(update)
  }

  #isNewer(frame: { epoch: number; seq: number }): boolean {
    return !this.position || frame.epoch !== this.position.epoch || frame.seq > this.position.seq
  }

  #install(event: EventFrame): void {
    if (!this.#isNewer(event)) return
    this.position = { epoch: event.epoch, seq: event.seq }
    this.#tell({ kind: 'event', event })
  }

  #installState({ epoch, seq, at, data, watchers }: StateFrame): void {
    this.position = { epoch, seq }
    const update = { kind: 'state', state: data as never, epoch, seq, at } as const
    this.#tell(watchers === undefined ? update : { ...update, watchers })
  }

  #tell(update: Update<never>): void {
    for (const follower of [...this.followers]) follower(update)
  }
}
