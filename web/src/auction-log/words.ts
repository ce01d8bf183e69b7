import { timeLeft } from '../auction/time-left'
import { money, text } from '../text/text'
import type { Rule, Verdict } from './steps'

/** What happened, in a line. `price` is the one after it, as it is written. */
export function ruleText(rule: Rule, price: string): string {
  const { what } = text.log
  switch (rule.kind) {
    case 'listed':
      return what.listed(rule.seller, price)
    case 'first':
    case 'raised':
      return what[rule.kind](rule.bidder)
    case 'bought':
      return what.bought(rule.bidder, price)
    case 'taken':
    case 'defended':
      return what[rule.kind](rule.bidder, rule.leader, price)
    case 'extended':
      return what.extended(timeLeft(rule.byMs))
    case 'closed':
      return rule.winner ? what.sold(rule.winner, price) : what.unsold
    default:
      return what[rule.kind]
  }
}

/** The rule that decided it, with the maxima that may be seen. */
export function rulePrinciple(rule: Rule): string {
  const words = text.log.rule
  switch (rule.kind) {
    case 'first':
    case 'raised':
      return words[rule.kind](written(rule.amount))
    case 'taken':
    case 'defended': {
      const { amount, against } = rule
      if (amount === undefined || against === undefined) return words[rule.kind]()
      return amount === against
        ? words.equal(money(amount))
        : words[rule.kind]([money(amount), money(against)])
    }
    case 'extended':
      return rule.reason === 'outage' ? words.outage : words.softClose
    case 'closed':
      return rule.winner ? words[rule.reason] : words.unsold
    default:
      return words[rule.kind]
  }
}

const written = (amount: number | undefined) => (amount === undefined ? undefined : money(amount))

/** Why it ended for the user as it did. `price` is the final one, as it is written. */
export function verdictText(verdict: Verdict, price: string): string {
  const { log } = text
  switch (verdict.kind) {
    case 'lower': {
      const { own, winning, winner } = verdict
      if (own === undefined || winning === undefined) return log.lowerUnknown(winner)
      return log.lower(winner, money(own), money(winning))
    }
    case 'equal':
      return log.equal(verdict.winner, money(verdict.own ?? 0))
    case 'watched':
    case 'won':
    case 'bought':
      return log[verdict.kind](price)
    default:
      return log[verdict.kind]
  }
}
