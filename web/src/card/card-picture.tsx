import '../styles/card.css'
import { text } from '../text/text'
import type { SoldCard } from './card-of'
import { pictureAddress } from './picture-address'

/** The card that is sold: a skeleton while it is asked for, a card's back where there is no picture. */
export function CardPicture({
  sold,
  title,
  eager = false,
}: {
  sold: SoldCard | null | undefined
  title: string
  eager?: boolean
}) {
  if (sold === undefined) return <div className="picture skeleton" aria-hidden="true" />
  return <Picture src={sold?.card.images[0]} name={sold?.card.name ?? title} eager={eager} />
}

/** A picture of a card, or a card's back. Without a name it is an ornament: the name stands beside it. */
export function Picture({
  src,
  name,
  eager = false,
}: {
  src: string | null | undefined
  name: string
  eager?: boolean
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
      alt={name}
      width="600"
      height="840"
      loading={eager ? 'eager' : 'lazy'}
      decoding="async"
    />
  )
}
