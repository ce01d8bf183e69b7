import '../styles/card.css'
import type { Copy } from '../server/rest'
import { text } from '../text/text'
import { pictureAddress, pictureWidths } from './picture-address'

interface How {
  /** How wide it is shown, as `sizes` has it. */
  sizes: string
  /** It is seen at once: what else the page loads can wait. */
  eager?: boolean
}

/** The card that is sold: a skeleton while it is asked for, a card's back where there is no picture. */
export function CardPicture({
  sold,
  title,
  ...how
}: How & {
  sold: Copy | null | undefined
  title: string
}) {
  if (sold === undefined) return <div className="picture skeleton" aria-hidden="true" />
  return <Picture src={sold?.image} name={sold?.name ?? title} {...how} />
}

/** A picture of a card, or a card's back. Without a name it is an ornament: the name stands beside it. */
export function Picture({
  src,
  name,
  sizes,
  eager = false,
}: How & {
  src: string | null | undefined
  name: string
}) {
  if (!src) {
    return (
      <div
        className="picture blank"
        {...(name && { role: 'img', 'aria-label': `${name}: ${text.home.noPicture}` })}
      >
        <img src="/icon.svg" alt="" width="56" height="56" />
      </div>
    )
  }
  return (
    <img
      className="picture"
      src={pictureAddress(src)}
      srcSet={pictureWidths(src)}
      sizes={sizes}
      alt={name}
      width="600"
      height="840"
      loading={eager ? 'eager' : 'lazy'}
      fetchPriority={eager ? 'high' : 'auto'}
      decoding={eager ? 'sync' : 'async'}
    />
  )
}
