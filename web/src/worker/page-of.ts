/** The ids of what a notification is about. */
export type About = Partial<Record<'auction' | 'trade' | 'card' | 'mint', string>>

const ID = /^[0-9a-v]{13}$/

/** The page of it: the notifications, where it has none. */
export function pageOf(about: About): string {
  for (const [name, path] of [
    ['auction', '/auctions'],
    ['trade', '/trades'],
    ['mint', '/mints'],
    ['card', '/cards'],
  ] as const) {
    const id = about[name]
    if (id !== undefined && ID.test(id)) return `${path}/${id}`
  }
  return '/notifications'
}
