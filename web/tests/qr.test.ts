import { expect, test } from 'vitest'
import { qrModules, TextTooLong } from '../src/account/qr'

// That readers read it is tested in the browser: tests/system/web/test_account.py.
test.each([
  [1, 21],
  [14, 21],
  [15, 25],
  [180, 53],
  [213, 57],
])('%i bytes make a code of %i modules a side', (bytes, size) => {
  expect(qrModules('x'.repeat(bytes)).map((row) => row.length)).toEqual(Array(size).fill(size))
})

test('a text that no code of ours holds is refused', () => {
  expect(() => qrModules('x'.repeat(214))).toThrow(TextTooLong)
})
