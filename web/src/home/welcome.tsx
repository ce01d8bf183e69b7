import { Link } from '../shell/link'
import { text } from '../text/text'

/** For whoever is here for the first time: what this is, and how one begins. */
export function Welcome() {
  return (
    <section className="panel welcome" aria-labelledby="welcome">
      <div>
        <h2 id="welcome">{text.home.welcome}</h2>
        <p className="muted">{text.home.welcomeText}</p>
      </div>
      <ol>
        {text.home.steps.map(({ title, detail }) => (
          <li key={title}>
            <strong>{title}</strong>
            <span className="muted small">{detail}</span>
          </li>
        ))}
      </ol>
      <div className="buttons">
        <Link className="button primary" href="/register?next=%2F">
          {text.shell.register}
        </Link>
        <Link className="button" href="/login?next=%2F">
          {text.shell.logIn}
        </Link>
      </div>
    </section>
  )
}
