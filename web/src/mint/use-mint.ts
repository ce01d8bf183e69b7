import { useEffect, useState } from 'react'
import { socket } from '../connection'

/** How far a request to mint is, live. */
export interface Progress {
  status: 'minting' | 'done' | 'failed'
  total: number
  done: number
  poisoned: number
}

/** From its channel; undefined until it is known. `again` follows it anew. */
export function useMint(mint: string | undefined): Progress | undefined {
  const [progress, setProgress] = useState<Progress>()
  useEffect(() => {
    setProgress(undefined)
    if (mint === undefined) return
    return socket.follow<Progress>(`mint:${mint}`, (update) => {
      if (update.kind === 'state') setProgress(update.state)
    })
  }, [mint])
  return progress
}
