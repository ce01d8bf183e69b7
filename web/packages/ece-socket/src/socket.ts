import { afterClose, reconnectDelayMs } from './backoff'
import { Channel } from './channel'
import { ServerClock } from './clock'
import { NotConnected } from './errors'
import type {
  AuctionState,
  BidReply,
  EventFrame,
  Failure,
  HelloReply,
  Reply,
  SignalFrame,
  StateFrame,
  SubscribeReply,
  TradeState,
  Update,
} from './frames'
import { Outbox } from './outbox'
import { Requests } from './requests'

const PROTOCOL = 'ece.v1.json'
const HELLO_WITHIN_MS = 5_000
const REPLY_WITHIN_MS = 8_000
const PING_WITHIN_MS = 5_000
// Time for a killed gateway to come back, and for the back-off after it: then the command resolves by itself.
const COMMAND_WITHIN_MS = 60_000
const SUBSCRIBE_AGAIN_MS = 500
const PING_EVERY_MS = 5_000
const STABLE_AFTER_MS = 5_000
// The socket is silent: like a close code, for the back-off alone.
const SILENT = 1006

export type Status =
  | { kind: 'connecting' }
  | { kind: 'open'; user: HelloReply['user'] | undefined }
  | { kind: 'waiting'; retryAt: number }
  /** `token`: it was refused twice. `refused`: the server said not to come back. `closed`: `close` was called. */
  | { kind: 'stopped'; reason: 'token' | 'refused' | 'closed' }

export interface SocketOptions {
  url: string
  /** The access token for the next connection; null to watch only. `refused`: the last one was bad or has expired. */
  token?: (refused: boolean) => Promise<string | null> | string | null
  /**
   * For pages whose session is in cookies, in place of `token`: called before each connection is made, which has the
   * cookies of that moment. True: there is a session; false: there is none, and one can watch. It rejects where the
   * server can't be asked: it is called again later. After its cookies were renewed, `reconnect`.
   */
  cookie?: (refused: boolean) => Promise<boolean>
  onStatus?: (status: Status) => void
  pingEveryMs?: number
  webSocket?: new (url: string, protocols: string[]) => WebSocket
  random?: () => number
}

export type CommandReply = BidReply | Failure

/**
 * One connection to the engine that comes back by itself. Channels resume where they were, commands are sent again
 * under their keys, and `clock` is the server's.
 */
export class EceSocket {
  readonly clock = new ServerClock()
  #status: Status = { kind: 'stopped', reason: 'closed' }
  #socket: WebSocket | undefined
  #requests = new Requests()
  #attempt = 0
  #tokenRefused = false
  #byCookie = false
  #turn = 0
  #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #channels = new Map<string, Channel>()
  readonly #outbox = new Outbox((frame) => this.#ask(frame, REPLY_WITHIN_MS))
  readonly #options: SocketOptions

  constructor(options: SocketOptions) {
    this.#options = options
  }

  get status(): Status {
    return this.#status
  }

  /** Connect, and stay connected until `close`. */
  open(): void {
    if (this.#status.kind === 'stopped' || this.#status.kind === 'waiting') void this.#connect()
  }

  close(): void {
    this.#drop(1000)
    this.#set({ kind: 'stopped', reason: 'closed' })
  }

  /** The user has changed: connect anew, with the token of now. Channels resume. */
  reconnect(): void {
    this.#drop(1000)
    this.#attempt = 0
    void this.#connect()
  }

  /** Say hello with a new token before the old one expires: subscriptions stay. */
  async renewToken(): Promise<void> {
    if (this.#status.kind === 'open') await this.#hello(this.#socket)
  }

  /** Follow a channel, now and after each reconnect. Returns what ends it. */
  follow<S>(name: string, follower: (update: Update<S>) => void): () => void {
    const channel = this.#channels.get(name) ?? new Channel(name)
    const first = channel.followers.size === 0
    channel.followers.add(follower as (update: Update<never>) => void)
    this.#channels.set(name, channel)
    // Whoever comes later needs a state, too.
    if (!first) channel.position = undefined
    if (this.#status.kind === 'open') void this.#subscribe(channel)
    return () => this.#unfollow(channel, follower as (update: Update<never>) => void)
  }

  followAuction(id: string, follower: (update: Update<AuctionState>) => void): () => void {
    return this.follow(`auction:${id}`, follower)
  }

  /** A trade that one is a party of. Its signals are `presence` and `typing`. */
  followTrade(id: string, follower: (update: Update<TradeState>) => void): () => void {
    return this.follow(`trade:${id}`, follower)
  }

  /** Tell the other parties that one types. It may be lost. */
  typing(trade: string): void {
    if (this.#status.kind === 'open')
      void this.#ask({ op: 'trade_typing', trade }, REPLY_WITHIN_MS).catch(() => undefined)
  }

  /** Bid up to `amount`. The same key is the same bid. Rejects with NotConnected or OutcomeUnknown. */
  bid(auction: string, amount: number, key: string): Promise<CommandReply> {
    return this.command({ op: 'bid', auction, amount, key }) as Promise<CommandReply>
  }

  buyNow(auction: string, key: string): Promise<CommandReply> {
    return this.command({ op: 'buy_now', auction, key }) as Promise<CommandReply>
  }

  /** Any command with a key. Only while connected: a command never waits for a connection to be made for it. */
  command(
    frame: { op: string; key: string; [field: string]: unknown },
    withinMs = COMMAND_WITHIN_MS,
  ): Promise<Reply> {
    if (this.#status.kind !== 'open') return Promise.reject(new NotConnected('there is no connection'))
    return this.#outbox.send(frame, withinMs)
  }

  async #connect(): Promise<void> {
    this.#clearTimers()
    this.#set({ kind: 'connecting' })
    if (this.#options.cookie && !(await this.#cookies(this.#options.cookie))) return
    const make = this.#options.webSocket ?? WebSocket
    const socket = new make(this.#options.url, [PROTOCOL])
    this.#socket = socket
    this.#requests = new Requests()
    socket.onopen = () => void this.#greet(socket)
    socket.onmessage = (message) => this.#receive(String(message.data))
    socket.onclose = (event) => this.#lost(socket, event.code)
    this.#after(HELLO_WITHIN_MS * 2, () => {
      if (this.#status.kind === 'connecting') this.#lost(socket, SILENT)
    })
  }

  /** Whether to go on: nobody has asked for another connection meanwhile. */
  async #cookies(ask: NonNullable<SocketOptions['cookie']>): Promise<boolean> {
    const turn = ++this.#turn
    const found = await ask(this.#tokenRefused).catch(() => undefined)
    if (turn !== this.#turn || this.#status.kind !== 'connecting') return false
    if (found === undefined) {
      // Nobody knows whether there is a session. As a guest, what was sent before would be refused, not found out.
      this.#tryLater(SILENT)
      return false
    }
    this.#byCookie = found
    return true
  }

  async #greet(socket: WebSocket): Promise<void> {
    try {
      const user = await this.#hello(socket)
      if (socket !== this.#socket) return
      this.#tokenRefused = false
      // First: who hears that it is open may send a command, and that is of this user.
      this.#outbox.flush(user?.id)
      this.#set({ kind: 'open', user })
      // A server that takes hellos and then closes is not well: the back-off starts anew only later.
      this.#after(STABLE_AFTER_MS, () => {
        this.#attempt = 0
      })
      for (const channel of this.#channels.values()) void this.#subscribe(channel)
      this.#ping()
    } catch {
      this.#lost(socket, SILENT)
    }
  }

  async #hello(socket: WebSocket | undefined): Promise<HelloReply['user'] | undefined> {
    const token = await this.#options.token?.(this.#tokenRefused)
    if (socket !== this.#socket) throw new NotConnected('another connection was made')
    const sentAt = Date.now()
    const proof = token ? { token } : this.#byCookie ? { cookie: true } : {}
    const reply = await this.#ask({ op: 'hello', ...proof }, HELLO_WITHIN_MS)
    if (!reply.ok) throw new NotConnected(reply.error.message)
    const hello = reply as unknown as HelloReply
    this.clock.measure(sentAt, hello.server_time)
    return hello.user
  }

  #ask(frame: object, withinMs: number): Promise<Reply> {
    const socket = this.#socket
    if (socket?.readyState !== 1) return Promise.reject(new NotConnected('there is no connection'))
    return this.#requests.ask(
      (text) => socket.send(text),
      frame,
      withinMs,
      () => this.#lost(socket, SILENT),
    )
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as Reply | EventFrame | StateFrame | SignalFrame
    if (!('channel' in frame)) {
      this.#requests.answer(frame as Reply)
      return
    }
    const channel = this.#channels.get((frame as EventFrame).channel)
    if (channel?.take(frame as EventFrame | StateFrame | SignalFrame)) void this.#subscribe(channel)
  }

  async #subscribe(channel: Channel): Promise<void> {
    channel.beginSync()
    const since = channel.position
    let reply: Reply
    try {
      reply = await this.#ask(
        { op: 'subscribe', channel: channel.name, ...(since && { since }) },
        REPLY_WITHIN_MS,
      )
    } catch {
      return // the next connection subscribes
    }
    if (reply.ok) {
      if (channel.synced(reply as unknown as SubscribeReply)) void this.#subscribe(channel)
      return
    }
    const { code, retry_after_ms } = reply.error
    if (['unavailable', 'internal_error', 'overloaded', 'rate_limited'].includes(code)) {
      this.#after(retry_after_ms ?? SUBSCRIBE_AGAIN_MS, () => {
        if (this.#channels.get(channel.name) === channel) void this.#subscribe(channel)
      })
      return
    }
    channel.refuse({ kind: 'refused', error: reply.error })
  }

  #unfollow(channel: Channel, follower: (update: Update<never>) => void): void {
    channel.followers.delete(follower)
    if (channel.followers.size > 0 || this.#channels.get(channel.name) !== channel) return
    this.#channels.delete(channel.name)
    if (this.#status.kind === 'open') {
      void this.#ask({ op: 'unsubscribe', channel: channel.name }, REPLY_WITHIN_MS).catch(() => undefined)
    }
  }

  async #ping(): Promise<void> {
    const sentAt = Date.now()
    try {
      const reply = await this.#ask({ op: 'ping' }, PING_WITHIN_MS)
      if (reply.ok) this.clock.measure(sentAt, reply.server_time as number)
    } catch {
      return
    }
    if (this.#status.kind === 'open') this.#set({ ...this.#status })
    this.#after(this.#options.pingEveryMs ?? PING_EVERY_MS, () => void this.#ping())
  }

  #lost(socket: WebSocket, code: number): void {
    if (socket !== this.#socket) return
    this.#drop(1000)
    const next = afterClose(code)
    if (next === 'stop' || (next === 'renew' && this.#tokenRefused)) {
      this.#set({ kind: 'stopped', reason: next === 'stop' ? 'refused' : 'token' })
      return
    }
    this.#tokenRefused = next === 'renew'
    this.#tryLater(code)
  }

  #tryLater(code: number): void {
    const delayMs = reconnectDelayMs(this.#attempt++, code, this.#options.random)
    this.#set({ kind: 'waiting', retryAt: Date.now() + delayMs })
    this.#after(delayMs, () => void this.#connect())
  }

  /** Let go of the connection, without waiting for the other side to agree. */
  #drop(code: number): void {
    this.#clearTimers()
    const socket = this.#socket
    this.#socket = undefined
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(code)
    }
    this.#requests.fail()
  }

  #set(status: Status): void {
    this.#status = status
    this.#options.onStatus?.(status)
  }

  #after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work()
    }, delayMs)
    this.#timers.add(timer)
  }

  #clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
