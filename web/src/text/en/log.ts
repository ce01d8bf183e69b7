interface Who {
  name: string
  own: boolean
}
const who = ({ name, own }: Who) => (own ? 'you' : name)
const Who = ({ name, own }: Who) => (own ? 'You' : name)
const whose = ({ name, own }: Who) => (own ? 'your' : `${name}’s`)

export const log = {
  title: 'How the auction went',
  why: 'Why did I lose?',
  back: 'Back to the auction',
  scrub: 'Go through the log',
  step: 'Step',
  stepOf: (index: number, count: number) => `Step ${index} of ${count}`,
  previous: 'Previous step',
  next: 'Next step',
  price: 'Price',
  leader: 'Leads',
  nobody: 'nobody',
  steps: 'All steps',
  cut: 'This log is very long: these are its first steps.',

  running:
    'This auction is still open. You see what everyone may see: maxima stay hidden until the end, except your own.',
  watched: (price: string) => `It was sold for ${price}. You had not bid.`,
  won: (price: string) => `You won, and paid ${price}.`,
  cancelled: 'It was cancelled: nobody won.',
  unsold: 'It was not sold: no bid met the seller’s terms.',
  bought: (price: string) => `Somebody bought it at once for ${price}, which ended the auction.`,
  lower: (winner: string, own: string, winning: string) =>
    `Your maximum was ${own}. ${winner}’s was ${winning}, so every bid of yours was outbid.`,
  lowerUnknown: (winner: string) => `${winner}’s maximum was higher than yours.`,
  equal: (winner: string, own: string) =>
    `You and ${winner} had the same maximum, ${own}. Of equal maxima the earlier one wins.`,

  what: {
    listed: (seller: string, price: string) => `${seller} listed it, from ${price}`,
    opened: 'Bidding opened',
    first: (bidder: Who) => `${Who(bidder)} bid first`,
    raised: (bidder: Who) => `${Who(bidder)} raised ${bidder.own ? 'your' : 'their'} own maximum`,
    taken: (bidder: Who, leader: Who, price: string) => `${Who(bidder)} outbid ${who(leader)}: ${price}`,
    defended: (bidder: Who, leader: Who, price: string) =>
      `${Who(bidder)} bid, and ${whose(leader)} maximum answered: ${price}`,
    bought: (bidder: Who, price: string) => `${Who(bidder)} bought it for ${price}`,
    reserve: 'The reserve was met',
    extended: (by: string) => `The end moved by ${by}`,
    sold: (winner: Who, price: string) => `${Who(winner)} won for ${price}`,
    unsold: 'It ended without a sale',
    settled: 'Paid: the card has changed hands',
    cancelled: 'It was cancelled',
    other: 'Something else happened',
  },
  rule: {
    listed: 'The seller’s terms hold from now on. A reserve stays hidden.',
    opened: 'From its start time on an auction takes bids.',
    first: (amount?: string) =>
      `${amount ? `Up to ${amount}. ` : ''}The first bid leads at the starting price, however high its maximum. A maximum that meets the reserve lifts the price to it.`,
    raised: (amount?: string) =>
      `${amount ? `Up to ${amount}. ` : ''}A leader who raises their own maximum does not bid against themselves: the price stays, unless that meets the reserve.`,
    taken: (amounts?: [string, string]) =>
      `${amounts ? `${amounts[0]} against ${amounts[1]}. ` : ''}The higher maximum leads. The price is one step above the lower maximum, and never more than the higher one.`,
    defended: (amounts?: [string, string]) =>
      `${amounts ? `${amounts[0]} against ${amounts[1]}. ` : ''}The leader’s maximum was at least as high: the engine bid for them, one step above, and never more than their maximum.`,
    equal: (amount: string) =>
      `Both maxima were ${amount}. Of equal maxima the earlier one leads, at that price.`,
    bought: 'Whoever buys at once pays the price that the seller named, and the auction ends.',
    reserve: 'A bid reached the seller’s hidden least price: it will be sold.',
    softClose: 'A bid in the last moments moves the end, so that others can answer.',
    outage: 'Nobody could bid for a while: the end moved by as much.',
    time: 'When the time is up the leader wins, if the reserve is met.',
    buy_now: 'It was bought at once.',
    operator: 'An operator ended it, as if the time were up.',
    unsold: 'Without a bid, or below the reserve, nothing is sold.',
    settled: 'The winner’s money went to the seller, and the card to the winner, in one transaction.',
    cancelled: 'Before the first bid the seller can cancel.',
    other: 'This app does not know this event yet.',
  },
}
