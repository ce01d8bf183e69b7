import { EceSocket, type SocketOptions, type Status } from '../src'

interface Sent {
  id: number
  op: string
  [field: string]: unknown
}

/** A server's side of one connection, in the test's hands. */
export class FakeSocket {
  static all: FakeSocket[] = []
  onopen: (() => void) | null = null
  onmessage: ((message: { data: string }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  readyState = 0
  readonly sent: Sent[] = []

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this)
  }

  static get last(): FakeSocket {
    return FakeSocket.all.at(-1) as FakeSocket
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Sent)
  }

  close(): void {
    this.readyState = 3
  }

  /** The last frame with this operation. */
  frame(op: string): Sent {
    const frame = this.sent.findLast((sent) => sent.op === op)
    if (!frame) throw new Error(`no ${op} was sent`)
    return frame
  }

  count(op: string): number {
    return this.sent.filter((sent) => sent.op === op).length
  }

  async receive(frame: object): Promise<void> {
    this.onmessage?.({ data: JSON.stringify(frame) })
    await settled()
  }

  async reply(op: string, fields: object): Promise<void> {
    await this.receive({ id: this.frame(op).id, ok: true, ...fields })
  }

  async fail(op: string, error: object): Promise<void> {
    await this.receive({ id: this.frame(op).id, ok: false, error: { message: '', server_time: 0, ...error } })
  }

  async open(user?: { id: string; username: string }): Promise<void> {
    this.readyState = 1
    this.onopen?.()
    await settled()
    const greeting = { session: 's', server_time: Date.now(), heartbeat_ms: 20_000 }
    await this.reply('hello', { ...greeting, ...(user && { user }) })
  }

  async closeWith(code: number): Promise<void> {
    this.readyState = 3
    this.onclose?.({ code })
    await settled()
  }
}

/** All that was ready to run has run. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

export function newSocket(options: Partial<SocketOptions> = {}): { socket: EceSocket; statuses: Status[] } {
  FakeSocket.all = []
  const statuses: Status[] = []
  const socket = new EceSocket({
    url: 'ws://engine/ws',
    webSocket: FakeSocket as never,
    random: () => 0.5,
    onStatus: (status) => statuses.push(status),
    ...options,
  })
  socket.open()
  return { socket, statuses }
}
