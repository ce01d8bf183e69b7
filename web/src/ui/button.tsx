import type { ButtonHTMLAttributes, MouseEvent } from 'react'
import { text } from '../text/text'

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'primary' | 'warn' | 'quiet'
  wide?: boolean
  busy?: boolean
}

/** While it works it says so and takes no press, but keeps the focus. */
export function Button({ kind, wide, busy, className, children, onClick, type = 'button', ...rest }: Props) {
  const press = (event: MouseEvent<HTMLButtonElement>) => {
    if (busy) event.preventDefault()
    else onClick?.(event)
  }
  const classes = ['button', kind, wide && 'wide', className].filter(Boolean).join(' ')
  return (
    <button type={type} className={classes} aria-disabled={busy} onClick={press} {...rest}>
      {busy ? text.ui.working : children}
    </button>
  )
}
