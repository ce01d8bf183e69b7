import type { components, paths } from '../../generated/rest'
import { newKey } from './key'
import { Problem } from './problem'
import { type SentAnswer, sendWithProgress } from './progress'

type Schemas = components['schemas']
export type Schema<N extends keyof Schemas> = Schemas[N]
export type Auction = Schemas['AuctionState']
/** With the first of its copies. */
export type ListedAuction = Schemas['ListedState']
export type AuctionPage = Schemas['AuctionPage']
export type BidItem = Schemas['BidItem']
export type BidPage = Schemas['BidPage']
export type Card = Schemas['WholeCard']
export type Copy = Schemas['CopyItem']

const ANSWER_WITHIN_MS = 15_000
/** A request whose outcome is unknown is sent again so often, if that is safe: under its key, or as it changes nothing. */
const RETRIES_MAX = 2
const RETRY_AFTER_MS = 400

// -- types: from the OpenAPI document of the server

type Api = '/api/v1'
type Verb = 'get' | 'post' | 'put' | 'patch' | 'delete'
/** The paths that take this verb, without /api/v1. */
export type PathOf<V extends Verb> = {
  [P in keyof paths]: P extends `${Api}${infer Rest}` ? (paths[P][V] extends object ? Rest : never) : never
}[keyof paths]
type Operation<V extends Verb, P extends string> = `${Api}${P}` extends keyof paths
  ? NonNullable<paths[`${Api}${P}`][V]>
  : never
type Responses<O> = O extends { responses: infer R } ? R : never
type Content<R> = R extends { content: { 'application/json': infer C } } ? C : undefined
type Success<R> = R extends Record<200, infer A> | Record<201, infer A> | Record<202, infer A> ? A : never
/** What the server answers; undefined where the answer has no body. */
export type Answer<V extends Verb, P extends string> = Content<Success<Responses<Operation<V, P>>>>
type Parameters<O> = O extends { parameters: infer A } ? A : never
type Part<O, K extends 'query' | 'path'> = Parameters<O> extends Partial<Record<K, infer Q>> ? Q : never
type BodyOf<O> = O extends { requestBody: { content: { 'application/json': infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { 'application/json': infer B } } }
    ? { body?: B }
    : { body?: undefined }
type PathPart<O> = [NonNullable<Part<O, 'path'>>] extends [never]
  ? object
  : { path: NonNullable<Part<O, 'path'>> }

type KeyPart<O> = O extends { parameters: { header: { 'Idempotency-Key': string } } }
  ? { key: string }
  : object

interface Always {
  signal?: AbortSignal | undefined
}
export type Options<V extends Verb, P extends string> = Always &
  BodyOf<Operation<V, P>> &
  KeyPart<Operation<V, P>> &
  PathPart<Operation<V, P>> & { query?: NonNullable<Part<Operation<V, P>, 'query'>> }

// -- requests

/** Whoever keeps the session: it renews it and knows what to send with a change. */
export interface SessionHooks {
  /** Resolves when the cookies are good for a while, or there are none. */
  ready(): Promise<void>
  csrf(): string | undefined
  /** The server has refused the cookies. Whether to try again. */
  refused(): Promise<boolean>
  /** The server asks for a fresh second factor. Whether it was shown. */
  factorAsked(): Promise<boolean>
}
let hooks: SessionHooks = {
  ready: async () => undefined,
  csrf: () => undefined,
  refused: async () => false,
  factorAsked: async () => false,
}
export const keepSessionBy = (given: SessionHooks): void => {
  hooks = given
}

/** Whoever knows what to do without a network. */
export interface OfflineHooks {
  /** Of a request that is about to be sent: who wants its answer. */
  asked(address: string): ((body: unknown) => void) | undefined
  /** In place of the answer; undefined: there is nothing. */
  unreachable(verb: string, address: string): Promise<{ body: unknown } | undefined>
}
let offline: OfflineHooks = { asked: () => undefined, unreachable: async () => undefined }
export const keepOfflineBy = (given: OfflineHooks): void => {
  offline = given
}

/** One request, as the user if there is one. Rejects with Problem; the caller's own abort comes through as it is. */
export async function rest<V extends Verb, P extends PathOf<V>>(
  verb: V,
  path: P,
  ...[options]: object extends Options<V, P> ? [Options<V, P>?] : [Options<V, P>]
): Promise<Answer<V, P>> {
  const {
    path: parts,
    query,
    body,
    ...always
  } = (options ?? {}) as Always & {
    key?: string
    path?: Record<string, string>
    query?: Record<string, unknown>
    body?: object
  }
  const address = filled(path, parts ?? {}) + queryOf(query ?? {})
  const content = body === undefined ? undefined : JSON.stringify(body)
  return (await asUser(verb, address, { ...always, content, type: 'application/json' })) as Answer<V, P>
}

/** Send a file as it is. */
export function upload(
  path: '/content',
  file: Blob,
  { key = newKey(), progress }: { key?: string; progress?: (part: number) => void } = {},
): Promise<Schema<'StoredContent'>> {
  return asUser('post', path, { key, content: file, type: file.type, progress }) as Promise<
    Schema<'StoredContent'>
  >
}

/** Find a card by a photograph of it. */
export function scanned(photo: Blob): Promise<Schema<'Scan'>> {
  // As an upload: over a slow line a photograph takes longer than other requests.
  const sent = { content: photo, type: photo.type, progress: () => undefined }
  return asUser('post', '/scans', sent) as Promise<Schema<'Scan'>>
}

/** Without what belongs to a session: for the requests that begin, renew and end one. */
export function plain<P extends PathOf<'post'>>(
  path: P,
  body?: BodyOf<Operation<'post', P>>['body'],
): Promise<Answer<'post', P>> {
  const sent = { content: body && JSON.stringify(body), type: 'application/json', cookies: true }
  return once('post', path, sent) as Promise<Answer<'post', P>>
}

/** Whose the cookies are. Refused, it asks for no others: whoever renews them asks this, and would wait for itself. */
export function ownName(): Promise<Schema<'Me'>> {
  const sent = { content: undefined, type: 'application/json' }
  return repeated('get', '/users/me', sent) as Promise<Schema<'Me'>>
}

interface Sent extends Always {
  /** Of one intention of the user: with it a change may be sent again. */
  key?: string | undefined
  /** Ask for tokens in cookies. */
  cookies?: boolean
  /** What part of the content was sent. */
  progress?: ((part: number) => void) | undefined
  content: string | Blob | undefined
  type: string
}

async function asUser(verb: Verb, address: string, sent: Sent): Promise<unknown> {
  const keep = verb === 'get' ? offline.asked(address) : undefined
  try {
    const body = await answerOf(verb, address, sent)
    keep?.(body)
    return body
  } catch (error) {
    const unreachable = error instanceof Problem && error.code === 'network'
    const found = unreachable ? await offline.unreachable(verb, address) : undefined
    if (!found) throw error
    return found.body
  }
}

async function answerOf(verb: Verb, address: string, sent: Sent): Promise<unknown> {
  await hooks.ready()
  let asked = false
  for (let tries = 0; ; tries++) {
    try {
      return await repeated(verb, address, sent)
    } catch (error) {
      if (!(error instanceof Problem) || tries >= RETRIES_MAX) throw error
      if (error.isExpired && (await hooks.refused())) continue
      // A log-in that needs a code has a challenge: that is for the log-in screen.
      if (error.code === 'second_factor_required' && error.field('challenge') === undefined && !asked) {
        asked = true
        if (await hooks.factorAsked()) continue
      }
      throw error
    }
  }
}

async function repeated(verb: Verb, address: string, sent: Sent): Promise<unknown> {
  const safe = verb !== 'post' || sent.key !== undefined
  for (let tries = 0; ; tries++) {
    try {
      return await once(verb, address, sent)
    } catch (error) {
      const unknown = error instanceof Problem && error.isOutcomeUnknown
      if (!unknown || !safe || tries >= RETRIES_MAX || isOffline()) throw error
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS * 2 ** tries))
      sent.signal?.throwIfAborted()
    }
  }
}

/** The browser knows that there is no network: trying again at once is of no use. */
const isOffline = (): boolean => globalThis.navigator?.onLine === false

async function once(verb: Verb, address: string, sent: Sent): Promise<unknown> {
  // No Accept: only a request without headers of its own takes what the document has preloaded.
  const headers: Record<string, string> = {}
  if (sent.content !== undefined) headers['Content-Type'] = sent.type
  if (sent.cookies) headers['X-Session'] = 'cookie'
  const csrf = verb === 'get' ? undefined : hooks.csrf()
  if (csrf !== undefined) headers['X-CSRF-Token'] = csrf
  if (sent.key !== undefined) headers['Idempotency-Key'] = sent.key
  let answer: SentAnswer
  try {
    const { content, progress } = sent
    answer =
      progress && content instanceof Blob
        ? await sendWithProgress(verb.toUpperCase(), `/api/v1${address}`, headers, content, progress)
        : await fetched(verb, address, headers, sent)
  } catch (error) {
    if (sent.signal?.aborted) throw error
    throw new Problem('network', String(error), 0)
  }
  const text = await answer.text().catch((error: unknown) => {
    if (!answer.ok) return ''
    // It was cut off, or is not wanted any more: nothing is not the answer.
    throw sent.signal?.aborted ? error : new Problem('network', String(error), 0)
  })
  if (answer.ok) return text === '' ? undefined : JSON.parse(text)
  throw Problem.of(text, answer.status, answer.statusText)
}

function fetched(
  verb: Verb,
  address: string,
  headers: Record<string, string>,
  sent: Sent,
): Promise<Response> {
  const deadline = AbortSignal.timeout(ANSWER_WITHIN_MS)
  // Entity tags are the browser's: its cache asks by If-None-Match, and gives us what it has.
  return fetch(`/api/v1${address}`, {
    method: verb.toUpperCase(),
    headers,
    ...(sent.content !== undefined && { body: sent.content }),
    signal: sent.signal ? AbortSignal.any([sent.signal, deadline]) : deadline,
  })
}

function filled(path: string, parts: Record<string, string>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parts[name] ?? ''))
}

function queryOf(query: Record<string, unknown>): string {
  // A list is the parameter several times.
  const given = Object.entries(query)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, one] as const))
    .filter(([, value]) => value !== undefined && value !== null)
  return given.length === 0
    ? ''
    : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`
}
