import { useEffect, useRef, useState } from 'react'

/** A value that may change many times a second, at most once in `everyMs`: the first and the last one always come. */
export function useThrottled<T>(value: T, everyMs: number): T {
  const [shown, setShown] = useState(value)
  const nextAt = useRef(0)
  useEffect(() => {
    const show = () => {
      nextAt.current = performance.now() + everyMs
      setShown(value)
    }
    const wait = nextAt.current - performance.now()
    if (wait <= 0) return show()
    const timer = setTimeout(show, wait)
    return () => clearTimeout(timer)
  }, [value, everyMs])
  return shown
}
