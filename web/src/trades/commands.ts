import { useRef, useState } from 'react'
import { newKey } from '../server/key'
import { attempt } from '../ui/toast'

/** Sends one command at a time, under a key of its intention; what went wrong is said. */
export function useCommand() {
  const [busy, setBusy] = useState<string>()
  const sending = useRef(false)
  /** Whether it was done. `name` tells which button works. */
  const send = async (name: string, command: (key: string) => Promise<unknown>): Promise<boolean> => {
    if (sending.current) return false
    sending.current = true
    setBusy(name)
    const done = await attempt(() => command(newKey()))
    sending.current = false
    setBusy(undefined)
    return done
  }
  return { busy, send }
}
