import { expect, test } from 'vitest'
import { afterClose, reconnectDelayMs, ServerClock } from '../src'

test('the server’s clock is that of the shortest round trip', () => {
  let now = 1_000
  const clock = new ServerClock(() => now)
  now = 1_400
  clock.measure(1_000, 6_000) // 400 ms there and back: 5,000 ms ahead, give or take 200
  expect(clock.offsetMs).toBe(4_800)
  now = 2_010
  clock.measure(2_000, 7_000)
  expect(clock.now()).toBe(2_010 + 4_995)
  now = 3_900
  clock.measure(3_000, 9_000)
  expect(clock.offsetMs).toBe(4_995)
  expect(clock.latencyMs).toBe(900)
})

test('a sample over a clock that was set back counts for nothing', () => {
  const clock = new ServerClock(() => 500)
  clock.measure(1_000, 9_000)
  expect(clock.offsetMs).toBe(0)
})

test('delays have full jitter below a limit that doubles', () => {
  expect([0, 1, 2, 9, 40].map((attempt) => reconnectDelayMs(attempt, 1006, () => 1))).toEqual([
    250, 500, 1_000, 10_000, 10_000,
  ])
  expect(reconnectDelayMs(5, 4001, () => 0)).toBe(0)
})

test('close codes say whether to come back', () => {
  expect([1006, 1012, 4000, 4499].map(afterClose)).toEqual(Array(4).fill('reconnect'))
  expect([4500, 4502, 4503, 4999].map(afterClose)).toEqual(Array(4).fill('stop'))
  expect(afterClose(4501)).toBe('renew')
})
