import type { ReactNode } from 'react'
import { problemText } from '../text/problems'
import { text } from '../text/text'
import { Button } from './button'

/** There is nothing here, and what one can do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="notice">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** It could not be loaded. */
export function Failed({ title, error, again }: { title?: string; error: unknown; again: () => void }) {
  return (
    <div className="notice" role="alert">
      <h2>{title ?? text.ui.failed}</h2>
      <p>{problemText(error)}</p>
      <Button kind="primary" onClick={again}>
        {text.ui.again}
      </Button>
    </div>
  )
}

const LINES = ['a', 'b', 'c', 'd', 'e', 'f']

/** Lines where text will be. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div aria-busy="true">
      <span className="visually-hidden">{text.shell.loading}</span>
      {LINES.slice(0, lines).map((key) => (
        <div key={key} className="line tall skeleton" aria-hidden="true" />
      ))}
    </div>
  )
}
