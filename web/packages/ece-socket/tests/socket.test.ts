import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { NotConnected, OutcomeUnknown, type Update } from '../src'
import { FakeSocket, newSocket, settled } from './fake-socket'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const bidReply = {
  auction: 'a',
  epoch: 1,
  seq: 3,
  at: 1,
  outcome: 'leading',
  price: 1,
  minimum: 2,
  ends_at: 9,
}
const bidEvent = (seq: number, epoch = 1) => ({
  channel: 'auction:a',
  epoch,
  seq,
  type: 'bid',
  at: seq,
  data: {},
})
const subscribed = (seq: number, more: object) => ({
  epoch: 1,
  seq,
  recovered: true,
  watchers: 1,
  events: [],
  ...more,
})

async function following(): Promise<{
  updates: Update<unknown>[]
  socket: ReturnType<typeof newSocket>['socket']
}> {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const updates: Update<unknown>[] = []
  socket.follow('auction:a', (update) => void (update.kind !== 'watchers' && updates.push(update)))
  await FakeSocket.last.reply('subscribe', {
    epoch: 1,
    seq: 2,
    recovered: false,
    watchers: 1,
    state: { price: 5 },
  })
  return { updates, socket }
}

test('a signal has no place in the sequence: it arrives, and nothing is missed by it', async () => {
  const { updates } = await following()
  const signal = { channel: 'auction:a', type: 'presence', at: 1, data: { present: ['x'] } }
  const asked = FakeSocket.last.count('subscribe')
  await FakeSocket.last.receive(signal)
  await FakeSocket.last.receive(bidEvent(3))
  expect(updates.slice(1)).toEqual([
    { kind: 'signal', signal },
    { kind: 'event', event: bidEvent(3) },
  ])
  expect(FakeSocket.last.count('subscribe')).toBe(asked)
})

const seqs = (updates: Update<unknown>[]) =>
  updates.map((update) =>
    update.kind === 'event' ? update.event.seq : update.kind === 'state' ? `state ${update.seq}` : '',
  )

test('it says hello with the token of now, and offers the protocol', async () => {
  newSocket({ token: () => 'secret' })
  await FakeSocket.last.open()
  expect(FakeSocket.last.protocols).toEqual(['ece.v1.json'])
  expect(FakeSocket.last.frame('hello')).toMatchObject({ op: 'hello', token: 'secret' })
})

test('a follower gets the state, then each event once and in order', async () => {
  const { updates } = await following()
  for (const seq of [3, 3, 4, 2]) await FakeSocket.last.receive(bidEvent(seq))
  expect(seqs(updates)).toEqual(['state 2', 3, 4])
})

test('a gap is filled from the last event that was seen, and what came meanwhile is kept', async () => {
  const { updates } = await following()
  await FakeSocket.last.receive(bidEvent(5))
  expect(FakeSocket.last.frame('subscribe')).toMatchObject({ since: { epoch: 1, seq: 2 } })
  await FakeSocket.last.receive(bidEvent(6))
  await FakeSocket.last.reply('subscribe', subscribed(5, { events: [bidEvent(3), bidEvent(4), bidEvent(5)] }))
  expect(seqs(updates)).toEqual(['state 2', 3, 4, 5, 6])
})

test('a state frame stands in place of the events before it', async () => {
  const { updates } = await following()
  await FakeSocket.last.receive({ ...bidEvent(9), type: 'state', data: { price: 7 } })
  await FakeSocket.last.receive(bidEvent(10))
  expect(seqs(updates)).toEqual(['state 2', 'state 9', 10])
})

test('an event of another epoch means nothing here: it asks again', async () => {
  const { updates } = await following()
  await FakeSocket.last.receive(bidEvent(3, 2))
  expect(FakeSocket.last.count('subscribe')).toBe(2)
  expect(seqs(updates)).toEqual(['state 2'])
})

test('after a lost connection it resumes where it was', async () => {
  const { updates } = await following()
  await FakeSocket.last.closeWith(1006)
  await vi.advanceTimersByTimeAsync(200)
  expect(FakeSocket.all.length).toBe(2)
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('subscribe')).toMatchObject({ since: { epoch: 1, seq: 2 } })
  await FakeSocket.last.reply('subscribe', subscribed(3, { events: [bidEvent(3)] }))
  expect(seqs(updates)).toEqual(['state 2', 3])
})

test('a bid whose answer was lost is sent again with its key, and answered once', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  await settled()
  await FakeSocket.last.closeWith(1012)
  await vi.advanceTimersByTimeAsync(300)
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('bid')).toMatchObject({ auction: 'a', amount: 5, key: 'k' })
  await FakeSocket.last.reply('bid', { ...bidReply, duplicate: true })
  await expect(answer).resolves.toMatchObject({ ok: true, duplicate: true })
})

test('unavailable leaves the outcome open: the same key is sent again', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  await settled()
  await FakeSocket.last.fail('bid', { code: 'unavailable', retry_after_ms: 100 })
  await vi.advanceTimersByTimeAsync(100)
  expect(FakeSocket.last.count('bid')).toBe(2)
  await FakeSocket.last.fail('bid', { code: 'bid_too_low', price: 6, minimum: 7 })
  await expect(answer).resolves.toMatchObject({ ok: false, error: { code: 'bid_too_low' } })
})

test('who lost access after an unknown outcome is not told that nothing happened', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const ended = expect(socket.bid('a', 5, 'k')).rejects.toBeInstanceOf(OutcomeUnknown)
  await settled()
  await FakeSocket.last.fail('bid', { code: 'unavailable', retry_after_ms: 100 })
  await vi.advanceTimersByTimeAsync(100)
  await FakeSocket.last.fail('bid', { code: 'unauthenticated' })
  await ended
  const refused = socket.bid('a', 6, 'k2')
  await settled()
  await FakeSocket.last.fail('bid', { code: 'unauthenticated' })
  await expect(refused).resolves.toMatchObject({ ok: false, error: { code: 'unauthenticated' } })
})

test('a bid whose outcome is unknown is sent again after a limit, one that never counted is refused', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  await settled()
  await FakeSocket.last.closeWith(1012)
  await vi.advanceTimersByTimeAsync(300)
  await FakeSocket.last.open()
  await FakeSocket.last.fail('bid', { code: 'rate_limited', retry_after_ms: 100 })
  await vi.advanceTimersByTimeAsync(100)
  expect(FakeSocket.last.count('bid')).toBe(2)
  await FakeSocket.last.reply('bid', { ...bidReply, duplicate: true })
  await expect(answer).resolves.toMatchObject({ ok: true, duplicate: true })
  const refused = socket.bid('a', 6, 'k2')
  await settled()
  await FakeSocket.last.fail('bid', { code: 'rate_limited', retry_after_ms: 100 })
  await expect(refused).resolves.toMatchObject({ ok: false, error: { code: 'rate_limited' } })
})

test('a bid outlasts the restart of a killed gateway', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  await FakeSocket.last.closeWith(1006)
  await vi.advanceTimersByTimeAsync(40_000)
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('bid')).toMatchObject({ auction: 'a', amount: 5, key: 'k' })
  await FakeSocket.last.reply('bid', bidReply)
  await expect(answer).resolves.toMatchObject({ ok: true })
})

test('a bid without an answer is never sent as another user, nor as a guest', async () => {
  for (const next of [{ id: 'u2', username: 'bob' }, undefined]) {
    const { socket } = newSocket()
    await FakeSocket.last.open({ id: 'u1', username: 'ann' })
    const ended = expect(socket.bid('a', 5, 'k')).rejects.toBeInstanceOf(OutcomeUnknown)
    await settled()
    await FakeSocket.last.closeWith(1006)
    socket.reconnect()
    await FakeSocket.last.open(next)
    await ended
    expect(FakeSocket.last.count('bid')).toBe(0)
    socket.close()
  }
})

test('without any answer a bid ends as unknown, and is not sent any more', async () => {
  const { socket } = newSocket()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  const ended = expect(answer).rejects.toBeInstanceOf(OutcomeUnknown)
  await FakeSocket.last.closeWith(1006)
  await vi.advanceTimersByTimeAsync(60_000)
  await ended
  await FakeSocket.last.open()
  expect(FakeSocket.last.count('bid')).toBe(0)
})

test('no bid waits for a connection', async () => {
  const { socket } = newSocket()
  await expect(socket.bid('a', 5, 'k')).rejects.toBeInstanceOf(NotConnected)
})

test('a code from 4500 on says not to come back', async () => {
  const { statuses } = newSocket()
  await FakeSocket.last.open()
  await FakeSocket.last.closeWith(4500)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(FakeSocket.all.length).toBe(1)
  expect(statuses.at(-1)).toEqual({ kind: 'stopped', reason: 'refused' })
})

test('a refused token is renewed once, then it stops', async () => {
  const asked: boolean[] = []
  const token = (refused: boolean) => {
    asked.push(refused)
    return 'old'
  }
  const { statuses } = newSocket({ token })
  for (let attempt = 0; attempt < 2; attempt++) {
    FakeSocket.last.readyState = 1
    FakeSocket.last.onopen?.()
    await settled()
    await FakeSocket.last.closeWith(4501)
    await vi.advanceTimersByTimeAsync(1_000)
  }
  expect(asked).toEqual([false, true])
  expect(statuses.at(-1)).toEqual({ kind: 'stopped', reason: 'token' })
})

test('the time between attempts grows, up to ten seconds', async () => {
  const waits: number[] = []
  newSocket({ onStatus: (status) => status.kind === 'waiting' && waits.push(status.retryAt - Date.now()) })
  for (let attempt = 0; attempt < 8; attempt++) {
    await FakeSocket.last.closeWith(1006)
    await vi.advanceTimersByTimeAsync(waits.at(-1) ?? 0)
  }
  // Half of the limit: the tests' chance.
  expect(waits).toEqual([125, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000])
})

test('a server that answers no ping is left', async () => {
  newSocket()
  await FakeSocket.last.open()
  await vi.advanceTimersByTimeAsync(5_200)
  expect(FakeSocket.all.length).toBe(2)
})

test('whoever leaves gets nothing more, and the last one unsubscribes', async () => {
  const { socket } = await following()
  const late: unknown[] = []
  const leave = socket.follow('auction:b', (update) => void late.push(update))
  leave()
  await FakeSocket.last.receive({ ...bidEvent(1), channel: 'auction:b' })
  expect(late).toEqual([])
  expect(FakeSocket.last.frame('unsubscribe')).toMatchObject({ channel: 'auction:b' })
})

test('a page with cookies renews them before it connects, and says hello with them', async () => {
  let renewed: (found: boolean) => void = () => undefined
  const { socket } = newSocket({ cookie: () => new Promise((resolve) => (renewed = resolve)) })
  await settled()
  expect(FakeSocket.all).toEqual([])
  renewed(true)
  await settled()
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('hello').cookie).toBe(true)
  socket.close()
})

test('whoever reconnects while cookies are renewed has one connection', async () => {
  const waiting: ((found: boolean) => void)[] = []
  const { socket } = newSocket({ cookie: () => new Promise((resolve) => waiting.push(resolve)) })
  socket.reconnect()
  for (const resolve of waiting) resolve(false)
  await settled()
  expect(FakeSocket.all.length).toBe(1)
  socket.close()
})

test('while nobody knows whether there is a session it makes no connection as a guest, and a bid waits', async () => {
  const answers = ['yes', 'unknown', 'unknown', 'yes']
  const cookie = async () => {
    const answer = answers.shift()
    if (answer === 'unknown') throw new Error('the server can\u2019t be asked')
    return answer === 'yes'
  }
  const { socket, statuses } = newSocket({ cookie })
  await settled()
  await FakeSocket.last.open()
  const answer = socket.bid('a', 5, 'k')
  await settled()
  await FakeSocket.last.closeWith(1006)
  await vi.advanceTimersByTimeAsync(125)
  expect(statuses.at(-1)?.kind).toBe('waiting')
  await vi.advanceTimersByTimeAsync(250)
  expect([FakeSocket.all.length, statuses.at(-1)?.kind]).toEqual([1, 'waiting'])
  await vi.advanceTimersByTimeAsync(500)
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('hello').cookie).toBe(true)
  expect(FakeSocket.last.frame('bid')).toMatchObject({ auction: 'a', amount: 5, key: 'k' })
  await FakeSocket.last.reply('bid', bidReply)
  await expect(answer).resolves.toMatchObject({ ok: true })
})

test('who has no session connects as a guest at once', async () => {
  const { socket } = newSocket({ cookie: async () => false })
  await settled()
  await FakeSocket.last.open()
  expect(FakeSocket.last.frame('hello')).not.toHaveProperty('cookie')
  socket.close()
})
