import '../styles/copies.css'
import type { ReactNode } from 'react'
import type { Copy } from '../server/rest'
import { text } from '../text/text'
import { pictureAddress, pictureWidths } from './picture-address'

/** A copy, small: picture, name, which one it is. Undefined: not known yet. */
export function CopyTile({ copy, children }: { copy: Copy | undefined; children?: ReactNode }) {
  if (!copy) return <span className="copy-tile skeleton" aria-hidden="true" />
  return (
    <span className="copy-tile">
      <img
        className={copy.image ? 'picture' : 'picture blank'}
        src={copy.image ? pictureAddress(copy.image) : '/icon.svg'}
        srcSet={copy.image ? pictureWidths(copy.image) : undefined}
        sizes="3.75rem"
        alt=""
        width="60"
        height="84"
        loading="lazy"
        decoding="async"
      />
      <span className="copy-words">
        <span className="copy-name">{copy.name}</span>
        <span className="muted small">{whichCopy(copy)}</span>
        {children}
      </span>
    </span>
  )
}

/** `Ocean · 7 · No. 2 · PSA 9.5` */
export function whichCopy({ set_name, number, serial, grader, grade }: Copy): string {
  const graded = grader && grade !== null ? [text.compose.grade(grader, (grade / 10).toFixed(1))] : []
  return [set_name, number, text.compose.serial(serial), ...graded].join(' · ')
}
