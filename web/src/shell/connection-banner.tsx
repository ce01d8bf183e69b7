import { useEffect, useState } from 'react'
import { socket, useConnection } from '../connection'
import { useOffline } from '../offline/offline'
import { clockTime, moment, text } from '../text/text'

/** A reconnect within this time is not worth a word. */
const SHOWN_AFTER_MS = 700

export function ConnectionBanner() {
  const { status, asOf } = useConnection()
  const cut = status.kind !== 'open'
  const [shown, setShown] = useState(false)
  useEffect(() => {
    if (!cut) return setShown(false)
    const timer = setTimeout(() => setShown(true), SHOWN_AFTER_MS)
    return () => clearTimeout(timer)
  }, [cut])
  const { asOf: keptAsOf } = useOffline()
  const stopped = status.kind === 'stopped'
  const message = stopped
    ? status.reason === 'token'
      ? text.connection.token
      : text.connection.stopped
    : keptAsOf !== undefined
      ? text.device.offline(moment(keptAsOf))
      : asOf === undefined
        ? text.connection.lostEarly
        : text.connection.lost(clockTime(asOf))
  return (
    <div role="status" className="banner-region">
      {cut && shown && (
        <div className="banner">
          <span>{message}</span>
          <button className="button quiet" type="button" onClick={() => socket.reconnect()}>
            {text.connection.retry}
          </button>
        </div>
      )}
    </div>
  )
}
