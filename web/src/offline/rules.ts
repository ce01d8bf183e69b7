/** What can be read without a network: the catalog, and one's portfolio. Never an auction: its price would be old. */
const KEPT = [
  /^\/catalog\//,
  /^\/copies\/[^/]+(?:\/provenance|\/ownership)?$/,
  /^\/users\/me\/(?:copies|portfolio|sales|watches|profile)(?:[/?]|$)/,
  /^\/users\/me\/?$/,
  /^\/mints(?:[/?]|$)/,
  /^\/market\//,
]

/** Whether an answer of this address (path and query, below /api/v1) is kept. */
export const isKept = (address: string): boolean => KEPT.some((pattern) => pattern.test(address))

/**
 * Whether an action can wait for a network: only what is the same however late and however often it is done. Nothing
 * that moves money or cards, and never a bid: those are all POST.
 */
const WAITS = /^\/users\/me\/(?:watches|following)\/[^?]+$/
export const mayWait = (verb: string, address: string): boolean =>
  (verb === 'put' || verb === 'delete') && WAITS.test(address)
