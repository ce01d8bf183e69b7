import type { AnchorHTMLAttributes, MouseEvent } from 'react'
import { navigate } from '../router'

interface Props extends AnchorHTMLAttributes<HTMLAnchorElement> {
  href: string
}

/** A link within the app: no reload, but a new tab where one was asked for. */
export function Link({ href, onClick, ...rest }: Props) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event)
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
      return
    event.preventDefault()
    navigate(href)
  }
  return <a href={href} onClick={follow} {...rest} />
}
