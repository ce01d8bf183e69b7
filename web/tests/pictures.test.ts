import { describe, expect, it } from 'vitest'
import { pictureAddress, pictureWidths } from '../src/card/picture-address'

describe('a picture of a card', () => {
  it('is offered to the browser in smaller sizes, whether it is a file or content', () => {
    expect(pictureWidths('/media/cards/base-4.webp')).toBe(
      [160, 320, 480, 640].map((width) => `/media/cards/${width}/base-4.webp ${width}w`).join(', '),
    )
    expect(pictureWidths('ipfs://bafk1')).toContain('/media/cards/320/bafk1 320w')
    expect(pictureAddress('ipfs://bafk1')).toBe('/content/bafk1')
  })

  it('has no smaller sizes where this site does not store it', () => {
    for (const elsewhere of ['https://example.org/1.webp', '/media/4.webp', 'ipfs://bafk1/1.png', 'ipfs://'])
      expect(pictureWidths(elsewhere)).toBeUndefined()
  })
})
