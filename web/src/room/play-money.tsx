import { useState } from 'react'
import { depositPlayMoney, PLAY_MONEY, useBalance } from '../session/balance'
import { money, text } from '../text/text'

/** The local faucet, offered to whoever has too little for the bid. */
export function PlayMoney({ short }: { short: boolean }) {
  const balance = useBalance()
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle')
  if (balance === undefined) return null
  const add = () => {
    setState('busy')
    depositPlayMoney().then(
      () => setState('idle'),
      () => setState('failed'),
    )
  }
  return (
    <div className="play-money small">
      <span className={short ? 'fault number' : 'muted number'}>{text.bid.available(money(balance))}</span>
      {short && state !== 'failed' && (
        <button className="button" type="button" disabled={state === 'busy'} onClick={add}>
          {state === 'busy' ? text.bid.depositing : text.bid.deposit(money(PLAY_MONEY, true))}
        </button>
      )}
      {state === 'failed' && <span className="fault">{text.bid.depositFailed}</span>}
    </div>
  )
}
