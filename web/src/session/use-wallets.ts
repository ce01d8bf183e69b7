import { useEffect, useState } from 'react'
import { findWalletApps } from './wallet-apps'
import { onWallets, solanaWallets, type Wallet } from './wallets'

/** The wallets that are there now. */
export function useWallets(): readonly Wallet[] {
  const [wallets, setWallets] = useState(solanaWallets)
  useEffect(() => {
    const look = () => setWallets(solanaWallets())
    look()
    void findWalletApps()
    return onWallets(look)
  }, [])
  return wallets
}
