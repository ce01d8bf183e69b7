const EXPLORER = 'https://explorer.solana.com/tx/'

/** Where anyone sees the transaction; undefined where the chain is no public one. `cluster`: as `solana:devnet`. */
export function signatureLink(signature: string, cluster: string | null): string | undefined {
  if (cluster === null) return undefined
  const name = cluster.replace(/^solana:/, '')
  return `${EXPLORER}${signature}${name === 'mainnet' ? '' : `?cluster=${name}`}`
}
