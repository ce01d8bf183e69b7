// One bid an auction at a time inside this process, in the order of arrival; the row lock still guards across processes.
// Without it the bids of a hot auction overtake each other while they wait for the lock, and most are too low then.
export function inOrder(store) {
  const tails = new Map()

  function place(auctionId, ...bid) {
    const run = () => store.place(auctionId, ...bid)
    const placed = (tails.get(auctionId) ?? Promise.resolve()).then(run, run)
    tails.set(auctionId, placed)
    placed
      .catch(() => {})
      .finally(() => {
        if (tails.get(auctionId) === placed) tails.delete(auctionId)
      })
    return placed
  }

  return { ...store, place }
}
