import { expect, test } from 'vitest'
import { cameraFault } from '../src/scan/camera'
import { levelOf } from '../src/scan/level'
import { reduced } from '../src/scan/photo'

test('a photograph is reduced to what a slow line carries, and never enlarged', () => {
  expect(reduced(4000, 3000)).toEqual([1600, 1200])
  expect(reduced(3000, 4000)).toEqual([1200, 1600])
  expect(reduced(640, 480)).toEqual([640, 480])
  expect(reduced(100_000, 10)).toEqual([1600, 1])
})

test('whatever keeps the camera shut has its own words', () => {
  expect(cameraFault(new DOMException('', 'NotAllowedError'))).toBe('refused')
  expect(cameraFault(new DOMException('', 'NotFoundError'))).toBe('none')
  expect(cameraFault(new DOMException('', 'NotReadableError'))).toBe('busy')
  expect(cameraFault(new TypeError('navigator.mediaDevices is undefined'))).toBe('insecure')
})

test('a confidence in words', () => {
  expect([1, 0.75, 0.74, 0.45, 0.44, 0].map(levelOf)).toEqual([
    'high',
    'high',
    'middle',
    'middle',
    'low',
    'low',
  ])
})
