import type { components } from '../../generated/rest'

type Body = Partial<components['schemas']['ProblemDetails']> & Record<string, unknown>

const UNKNOWN = new Set(['network', 'unavailable', 'internal_error', 'still_running'])
// Who may send something, and how often, is decided before its key is looked up. Not `forbidden`: that may be the answer
// that is stored under the key, as of an offer to somebody who takes none.
const BEFORE_THE_KEY = new Set([
  'overloaded',
  'rate_limited',
  'unauthenticated',
  'email_not_verified',
  'second_factor_required',
  'second_factor_invalid',
])

/** A fault of one field of what was sent. */
export interface FieldFault {
  at: string
  detail: string
}

/** The server refused, with one of its stable codes (RFC 9457); `network` where it could not be reached. */
export class Problem extends Error {
  override name = 'Problem'
  readonly code: string
  readonly status: number
  readonly #body: Body

  constructor(code: string, message: string, status: number, body: Body = {}) {
    super(message)
    this.code = code
    this.status = status
    this.#body = body
  }

  static of(text: string, status: number, statusText: string): Problem {
    let body: Body = {}
    try {
      body = JSON.parse(text) as Body
    } catch {
      // Not from the engine itself: a proxy's page.
    }
    return new Problem(body.code ?? 'unavailable', body.detail ?? statusText, status, body)
  }

  /** The session is over, or what one may do has changed: a refresh tells. */
  get isExpired(): boolean {
    return this.status === 401 && this.code === 'unauthenticated'
  }

  /** It may have been done, or may still be. */
  get isOutcomeUnknown(): boolean {
    return UNKNOWN.has(this.code)
  }

  /** It says nothing of what was sent under the same key before, which may have been done. */
  get isUndecided(): boolean {
    return this.isOutcomeUnknown || BEFORE_THE_KEY.has(this.code)
  }

  /** A further member of the problem. */
  field(name: string): unknown {
    return this.#body[name]
  }

  /** Which fields are wrong, by their names in the body. */
  get faults(): FieldFault[] {
    const errors = this.#body.errors
    if (!Array.isArray(errors)) return []
    return errors.map((one: { at?: unknown; detail?: unknown }) => ({
      at:
        String(one.at ?? '')
          .split('.')
          .at(-1) ?? '',
      detail: String(one.detail ?? ''),
    }))
  }
}
