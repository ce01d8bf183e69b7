const IPFS = 'ipfs://'
const MEDIA = '/media/cards/'
/** In which the gateway has pictures, in pixels (gateway/rest/catalog/media.py). */
const WIDTHS = [160, 320, 480, 640]

/** Where this site serves a picture of a card: content of IPFS is stored here, too, and browsers load nothing from elsewhere. */
export const pictureAddress = (uri: string): string =>
  uri.startsWith(IPFS) ? `/content/${uri.slice(IPFS.length)}` : uri

/** The same picture in smaller sizes, as `srcset` has them: the browser takes the one that it shows. */
export function pictureWidths(uri: string): string | undefined {
  const start = [IPFS, MEDIA].find((one) => uri.startsWith(one))
  const name = start && uri.slice(start.length)
  if (!name || name.includes('/')) return undefined
  return WIDTHS.map((width) => `${MEDIA}${width}/${name} ${width}w`).join(', ')
}
