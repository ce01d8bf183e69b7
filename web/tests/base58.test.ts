import { expect, test } from 'vitest'
import { base58 } from '../src/session/base58'

test.each([
  ['Hello World!', '2NEpo7TZRRrLZSi2U'],
  ['\0\0\x01', '112'],
  ['\0', '1'],
  ['', ''],
])('%j is %s', (bytes, text) => {
  expect(base58(new TextEncoder().encode(bytes))).toBe(text)
})
