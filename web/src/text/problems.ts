import { Problem } from '../server/problem'
import { money, text } from './text'

interface Fault {
  code: string
  message: string
  available?: number
}

/** What to tell people about a refusal, by its code; the server's own words for a code that has none here. */
export function refusalText({ code, message, available }: Fault): string {
  if (code === 'insufficient_funds') return text.errors.insufficient_funds(money(available ?? 0))
  const known = text.errors[code as keyof typeof text.errors]
  return typeof known === 'string' ? known : text.errors.other(message)
}

export function problemText(error: unknown): string {
  if (!(error instanceof Problem)) return text.errors.network
  const { code, message } = error
  const available = error.field('available')
  return refusalText({ code, message, ...(typeof available === 'number' && { available }) })
}
