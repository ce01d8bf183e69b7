import { money, text } from '../text/text'

/** What an entry is, by its kind; a kind that has no name here by the server's. */
export function kindText(kind: string): string {
  return text.wallet.kinds[kind as keyof typeof text.wallet.kinds] ?? kind.replaceAll('_', ' ')
}

/** With its sign, also where something came. */
export const signedMoney = (amount: number): string => (amount > 0 ? `+${money(amount)}` : money(amount))
