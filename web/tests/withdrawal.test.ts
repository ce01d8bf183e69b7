import { describe, expect, test } from 'vitest'
import { Problem } from '../src/server/problem'
import { destinationOf, NotAnAddress, OTHER, refusalOf } from '../src/wallet/withdrawal'

const LINKED = '9xTfKcGVtkqzzbPqSJDBeKq6sQeDkVJHJVhAvxpRcaYz'
const TYPED = '6FqKzGVtkqzzbPqSJDBeKq6sQeDkVJHJVhAvxpRcaYz1'
const form = (fields: Record<string, string>) => (name: string) => fields[name] ?? ''

describe('where a withdrawal goes', () => {
  test('to the linked wallet that was chosen, whatever is typed beside', () => {
    const values = form({ destination: LINKED, address: TYPED })
    expect(destinationOf(values)).toEqual({ address: LINKED, linked: true })
  })

  test.each([{ destination: OTHER }, {}])('to what was typed with the choice %o', (choice) => {
    const values = form({ ...choice, address: ` ${TYPED}\n` })
    expect(destinationOf(values)).toEqual({ address: TYPED, linked: false })
  })

  test.each(['', '0x71C7656EC7ab88b098defB751B7401B5f6d8976F', TYPED.slice(0, 31), `${TYPED}11`])(
    'not to %j, which is no address',
    (address) => {
      expect(() => destinationOf(form({ destination: OTHER, address }))).toThrow(NotAnAddress)
    },
  )
})

describe('why it was refused', () => {
  const refused = (code: string, body: Record<string, unknown> = {}) =>
    refusalOf(new Problem(code, 'in the words of the server', 409, body))

  test('by the reason of the address', () => {
    expect(refused('invalid_address', { reason: 'token_account' })).toContain('token account')
    expect(refusalOf(new NotAnAddress())).toContain('no address of Solana')
  })

  test('by the limits, with what is possible', () => {
    expect(refused('withdrawal_too_large', { maximum: 5_000_000 })).toContain('$5.00')
    expect(refused('daily_limit_reached', { maximum: 0 })).toContain('$0.00')
    expect(refused('cooling_down', { retry_after_ms: 60_001 })).toContain('2 minutes')
  })

  test.each([
    ['insufficient_funds', { available: 1 }],
    ['invalid_address', { reason: 'a_new_one' }],
    ['cooling_down', {}],
  ])('not here for %s with %o', (code, body) => {
    expect(refused(code, body)).toBeUndefined()
  })
})
