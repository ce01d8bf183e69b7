import { useState } from 'react'
import { Problem } from '../server/problem'
import { depositPlayMoney, PLAY_MONEY, useBalance } from '../session/balance'
import { problemText } from '../text/problems'
import { money, text } from '../text/text'
import { toast } from '../ui/toast'

/** The local faucet, offered to whoever has too little for the bid. */
export function PlayMoney({ short }: { short: boolean }) {
  const balance = useBalance()
  const [state, setState] = useState<'idle' | 'busy' | 'off'>('idle')
  if (balance === undefined) return null
  const add = () => {
    setState('busy')
    depositPlayMoney().then(
      () => setState('idle'),
      (error: unknown) => {
        const off = error instanceof Problem && error.code === 'faucet_off'
        setState(off ? 'off' : 'idle')
        if (!off) toast(problemText(error), true)
      },
    )
  }
  return (
    <div className="play-money small">
      <span className={short ? 'fault number' : 'muted number'}>{text.bid.available(money(balance))}</span>
      {short && state !== 'off' && (
        <button className="button" type="button" disabled={state === 'busy'} onClick={add}>
          {state === 'busy' ? text.bid.depositing : text.bid.deposit(money(PLAY_MONEY, true))}
        </button>
      )}
      {state === 'off' && <span className="fault">{text.bid.depositFailed}</span>}
    </div>
  )
}
