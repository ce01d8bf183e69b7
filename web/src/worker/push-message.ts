import { notifications as de } from '../text/de/account'
import { notifications as en } from '../text/en/account'
import { type About, pageOf } from './page-of'

/** What the engine pushes. `subject`: the title of the auction, or the name of the card. */
export interface PushMessage {
  kind: string
  text: string
  subject: string | null
  total: number
  tag: string
  about: About
}

export interface ShownMessage {
  title: string
  options: NotificationOptions & { data: { page: string } }
}

/** A notification in this language; what the worker has no words for is in the engine's. */
export function shownMessage(message: PushMessage, locale: string): ShownMessage {
  const kinds: Record<string, string> = locale === 'de' ? de.kinds : en.kinds
  const known = kinds[message.kind]
  const others = message.total > 1 ? ` (+${message.total - 1})` : ''
  return {
    title: known ?? message.text,
    options: {
      body: known ? `${message.subject ?? ''}${others}`.trim() : others.trim(),
      // The same message again replaces the first.
      tag: message.tag,
      icon: '/icon-192.png',
      badge: '/badge-96.png',
      lang: locale,
      data: { page: pageOf(message.about) },
    },
  }
}

/** Undefined for what is no message of the engine. */
export function parsedMessage(text: string): PushMessage | undefined {
  try {
    const found = JSON.parse(text) as Partial<PushMessage> | null
    if (typeof found?.kind !== 'string' || typeof found.text !== 'string') return undefined
    return { subject: null, total: 1, tag: found.kind, about: {}, ...found } as PushMessage
  } catch {
    return undefined
  }
}
