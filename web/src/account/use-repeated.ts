import { useEffect } from 'react'

/** Do something again and again while it is wanted, and somebody looks. */
export function useRepeated(work: () => void, everyMs: number, wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return
    const timer = setInterval(() => document.hidden || work(), everyMs)
    return () => clearInterval(timer)
  }, [work, everyMs, wanted])
}
