// Against a real engine, which ECE_ENGINE_URL names: tests/system/web/test_socket_package.py starts one.
import { expect, test } from 'vitest'
import { type AuctionState, applyAuctionEvent, type CommandReply, EceSocket } from '../../src'

const url = process.env.ECE_ENGINE_URL ?? ''
const USD = 1_000_000
const WITHIN_MS = 30_000

async function rest(path: string, body?: object, token?: string): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    'Idempotency-Key': crypto.randomUUID(),
  }
  if (token) headers.Authorization = `Bearer ${token}`
  const answer = await fetch(
    `${url}/api/v1${path}`,
    body ? { method: 'POST', headers, body: JSON.stringify(body) } : {},
  )
  if (!answer.ok) throw new Error(await answer.text())
  return (await answer.json()) as Record<string, unknown>
}

async function someone(): Promise<{ name: string; token: string }> {
  const name = `u${crypto.randomUUID().slice(0, 12)}`
  const password = 'correct horse battery'
  await rest('/auth/register', { email: `${name}@example.org`, username: name, password })
  const token = String((await rest('/auth/login', { login: name, password })).access_token)
  await rest('/ledger/deposits', { amount: 1_000 * USD, currency: 'USDC' }, token)
  return { name, token }
}

/** Connections that a test can cut, as a network does: without a word to the server. */
class Cut extends WebSocket {
  static open = new Set<Cut>()
  constructor(address: string, protocols: string[]) {
    super(address, protocols)
    Cut.open.add(this)
    this.addEventListener('close', () => Cut.open.delete(this))
  }
  static all(): void {
    for (const socket of Cut.open) socket.close()
  }
}

function connected(token: string | null): { socket: EceSocket; ready: Promise<void> } {
  let opened: () => void = () => undefined
  const ready = new Promise<void>((resolve) => {
    opened = resolve
  })
  const socket = new EceSocket({
    url: `${url.replace('http', 'ws')}/ws`,
    token: () => token,
    webSocket: Cut as never,
    onStatus: (status) => status.kind === 'open' && opened(),
  })
  socket.open()
  return { socket, ready }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + WITHIN_MS
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('each bid counts once and each event comes once, however often the connection is cut', async () => {
  const [seller, bidder] = [await someone(), await someone()]
  const listing = { title: 'Card', starting_price: USD, duration_ms: 3_600_000 }
  const id = String((await rest('/auctions', listing, seller.token)).id)
  const { socket, ready } = connected(bidder.token)
  await ready
  let seen: AuctionState | undefined
  const seqs: number[] = []
  socket.followAuction(id, (update) => {
    if (update.kind === 'state') seen = update.state
    if (update.kind === 'event') {
      seqs.push(update.event.seq)
      seen = seen && applyAuctionEvent(seen, update.event)
    }
  })
  await until(() => seen !== undefined)

  const answers: CommandReply[] = []
  for (let round = 0; round < 12; round++) {
    await until(() => socket.status.kind === 'open')
    const answer = socket.bid(id, (round + 2) * 2 * USD, `key-${round}`)
    // Before the answer, and again while it comes back.
    if (round % 2) Cut.all()
    answers.push(await answer)
  }
  expect(answers.filter(({ ok }) => !ok)).toEqual([])
  const { items } = (await rest(`/auctions/${id}/bids`)) as { items: unknown[] }
  expect(items.length).toBe(12)
  await until(() => seen?.bids === 12)
  expect(seqs).toEqual([...new Set(seqs)].sort((one, other) => one - other))
  const {
    server_time: _,
    epoch: __,
    seq: ___,
    copies: ____,
    settled: _____,
    ...now
  } = await rest(`/auctions/${id}`)
  const { server_time, ...mine } = seen as AuctionState & { server_time: number }
  expect(now).toMatchObject(mine)
  socket.close()
}, 60_000)

test('a guest watches, and is told to log in for a bid', async () => {
  const { token } = await someone()
  const id = String(
    (await rest('/auctions', { title: 'Card', starting_price: USD, duration_ms: 60_000 }, token)).id,
  )
  const { socket, ready } = connected(null)
  await ready
  await expect(socket.bid(id, 2 * USD, 'k')).resolves.toMatchObject({
    ok: false,
    error: { code: 'unauthenticated' },
  })
  expect(Math.abs(socket.clock.offsetMs)).toBeLessThan(2_000)
  socket.close()
}, 60_000)
