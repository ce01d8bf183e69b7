import { useState } from 'react'
import { text } from '../text/text'
import { useNewVersion } from '../worker/registration'
import { hasTyped } from '../worker/typed'

/** The page stays as it is until somebody agrees: perhaps they are bidding, or have typed something. */
export function NewVersionBanner() {
  const begin = useNewVersion()
  const [asking, setAsking] = useState(false)
  return (
    <div role="status" className="banner-region">
      {begin && (
        <div className="banner news">
          <span>{asking ? text.device.updateLoses : text.device.newVersion}</span>
          {asking && (
            <button className="button quiet" type="button" onClick={() => setAsking(false)}>
              {text.device.updateLater}
            </button>
          )}
          <button
            className="button quiet"
            type="button"
            onClick={() => (asking || !hasTyped() ? begin() : setAsking(true))}
          >
            {asking ? text.device.updateAnyway : text.device.update}
          </button>
        </div>
      )}
    </div>
  )
}
