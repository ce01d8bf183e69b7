import { describe, expect, it } from 'vitest'
import { Intention } from '../src/server/intention'
import { Problem } from '../src/server/problem'

const network = new Problem('network', 'away', 0)
const refused = new Problem('insufficient_funds', 'no', 409)

describe('the keys of a form', () => {
  const sent = async (intention: Intention, content: unknown, outcome?: Problem): Promise<string> => {
    let used = ''
    const sending = intention.send(content, async (key) => {
      used = key
      if (outcome) throw outcome
    })
    await (outcome ? expect(sending).rejects.toBe(outcome) : sending)
    return used
  }

  it('is the same again after an unknown outcome', async () => {
    const intention = new Intention()
    const first = await sent(intention, { amount: 5 }, network)
    expect(await sent(intention, { amount: 5 }, network)).toBe(first)
    expect(await sent(intention, { amount: 5 })).toBe(first)
    expect(await sent(intention, { amount: 5 })).not.toBe(first)
  })

  it('is the same again after what is not about the request: it may have been done at an earlier try', async () => {
    for (const code of ['still_running', 'rate_limited', 'overloaded', 'unauthenticated']) {
      const intention = new Intention()
      const first = await sent(intention, { amount: 5 }, new Problem(code, 'not now', 409))
      expect(await sent(intention, { amount: 5 })).toBe(first)
    }
  })

  it('is another one after a refusal that is stored under it', async () => {
    for (const code of ['insufficient_funds', 'forbidden']) {
      const intention = new Intention()
      const first = await sent(intention, { amount: 5 }, new Problem(code, 'no', 403))
      expect(await sent(intention, { amount: 5 })).not.toBe(first)
    }
  })

  it('is another one after a refusal, and for another content', async () => {
    const intention = new Intention()
    const first = await sent(intention, { amount: 5 }, refused)
    const second = await sent(intention, { amount: 5 }, network)
    expect(second).not.toBe(first)
    expect(await sent(intention, { amount: 6 })).not.toBe(second)
  })
})
