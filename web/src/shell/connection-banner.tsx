import { useEffect, useState } from 'react'
import { socket, useConnection } from '../connection'
import { useOffline } from '../offline/offline'
import { clockTime, moment, text } from '../text/text'

/** A reconnect within this time is not worth a word. */
const SHOWN_AFTER_MS = 700

export function ConnectionBanner() {
  const cut = useConnection().status.kind !== 'open'
  const [shown, setShown] = useState(false)
  useEffect(() => {
    if (!cut) return setShown(false)
    const timer = setTimeout(() => setShown(true), SHOWN_AFTER_MS)
    return () => clearTimeout(timer)
  }, [cut])
  return (
    <div role="status" className="banner-region">
      {cut && shown && <Banner />}
    </div>
  )
}

function Banner() {
  return (
    <div className="banner">
      <span>{useMessage()}</span>
      <button className="button quiet" type="button" onClick={() => socket.reconnect()}>
        {text.connection.retry}
      </button>
    </div>
  )
}

function useMessage(): string {
  const { status, asOf } = useConnection()
  const { asOf: keptAsOf } = useOffline()
  if (status.kind === 'stopped')
    return status.reason === 'token' ? text.connection.token : text.connection.stopped
  if (keptAsOf !== undefined) return text.device.offline(moment(keptAsOf))
  return asOf === undefined ? text.connection.lostEarly : text.connection.lost(clockTime(asOf))
}
