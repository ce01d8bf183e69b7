/** The token that a change by cookies needs in `X-CSRF-Token`; undefined: there is no session. Over TLS only the name that no other host can set counts. */
export function csrfToken(): string | undefined {
  const name = location.protocol === 'https:' ? '__Host-ece_csrf' : 'ece_csrf'
  const found = document.cookie.split('; ').find((cookie) => cookie.startsWith(`${name}=`))
  return found?.slice(name.length + 1) || undefined
}
