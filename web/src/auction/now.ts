import { useEffect, useState } from 'react'
import { socket } from '../connection'
import { TENTHS_BELOW_MS } from './time-left'

const FRAME_MS = 50

/** The server's time, often enough for a countdown to `until`: each second, near the end by tenths. */
export function useServerNow(until: number): number {
  const [now, setNow] = useState(() => socket.clock.now())
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    const tick = () => {
      const current = socket.clock.now()
      setNow(current)
      const left = until - current
      if (left <= 0) {
        timer = setTimeout(tick, 1000)
        return
      }
      // To the next moment at which the shown text changes.
      timer = setTimeout(tick, left <= TENTHS_BELOW_MS ? FRAME_MS : Math.min(1000, (left % 1000) + 1))
    }
    tick()
    return () => clearTimeout(timer)
  }, [until])
  return now
}
