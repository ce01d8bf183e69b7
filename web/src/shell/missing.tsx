import { useTitle } from '../router'
import { text } from '../text/text'
import { Link } from './link'

/** There is nothing at this address. */
export function Missing({ title, detail }: { title: string; detail: string }) {
  useTitle(title)
  return (
    <section className="notice">
      <h1>{title}</h1>
      <p>{detail}</p>
      <Link className="button" href="/">
        {text.shell.home}
      </Link>
    </section>
  )
}
