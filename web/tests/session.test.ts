import { beforeEach, expect, test, vi } from 'vitest'

/** What the browser remembers between two loads of the page. */
let storage: Map<string, string>
let cookie: string
/** `POST /auth/refresh` and so on, in their order. */
let asked: string[]
let answers: Record<string, () => Response | Promise<Response>>

const json = (status: number, body: object) => new Response(JSON.stringify(body), { status })
const ANN = { id: '0paeqic7k0001', username: 'ann', roles: [] }
const unauthenticated = () => json(401, { code: 'unauthenticated' })
const unreachable = () => Promise.reject(new TypeError('no network'))

/** The page is loaded: nothing but the storage and the cookies is left of the one before. */
async function load() {
  vi.resetModules()
  return import('../src/session/session')
}

const remember = (kept: object) => storage.set('session', JSON.stringify(kept))

beforeEach(() => {
  storage = new Map()
  cookie = 'ece_csrf=c'
  asked = []
  answers = {
    'POST /auth/refresh': () => json(200, { token_type: 'cookie', expires_in: 900, csrf_token: 'c' }),
    'POST /auth/logout': () => {
      cookie = ''
      return new Response(null, { status: 204 })
    },
    'GET /users/me': () => json(200, ANN),
  }
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => storage.get(key) ?? null,
    setItem: (key: string, value: string) => void storage.set(key, value),
    removeItem: (key: string) => void storage.delete(key),
  })
  vi.stubGlobal('document', {
    get cookie() {
      return cookie
    },
  })
  vi.stubGlobal('location', { protocol: 'http:' })
  vi.stubGlobal('addEventListener', () => undefined)
  vi.stubGlobal('navigator', { onLine: false, languages: ['en'] })
  vi.stubGlobal('fetch', async (address: string, { method }: { method: string }) => {
    const what = `${method} ${address.replace('/api/v1', '')}`
    asked.push(what)
    return answers[what]?.()
  })
})

test('a page that was left in the middle of a renewal is the user’s again', async () => {
  remember({ ...ANN, renewAt: 0 })
  answers['GET /users/me'] = () => new Promise<Response>(() => undefined)
  const left = await load()
  await left.restore()
  void left.renew()
  await vi.waitFor(() => expect(asked).toEqual(['POST /auth/refresh', 'GET /users/me']))

  answers['GET /users/me'] = () => json(200, ANN)
  const { restore, ensureFresh, currentSession } = await load()
  await restore()
  expect(currentSession()).toEqual(ANN)
  expect(await ensureFresh()).toBe(true)
  expect(currentSession()).toEqual(ANN)
})

test('a session that ends in the middle of its renewal is over', async () => {
  remember({ ...ANN, renewAt: 0 })
  answers['GET /users/me'] = unauthenticated
  const { restore, renew, currentSession } = await load()
  await restore()
  expect(await renew()).toBe(false)
  expect(currentSession()).toBeUndefined()
})

test('requests that need a code at once are answered by one', async () => {
  const { restore, askFactorBy } = await load()
  await restore()
  let dialogs = 0
  let shown: (given: boolean) => void = () => undefined
  askFactorBy(() => {
    dialogs++
    return new Promise((resolve) => {
      shown = resolve
    })
  })
  const refused = () => json(403, { code: 'second_factor_required' })
  answers['GET /admin/audit/check'] = answers['GET /admin/audit'] = refused
  const { rest } = await import('../src/server/rest')
  const both = Promise.all([rest('get', '/admin/audit/check'), rest('get', '/admin/audit')])
  await vi.waitFor(() => expect(dialogs).toBe(1))
  answers['GET /admin/audit/check'] = answers['GET /admin/audit'] = () => json(200, { items: [] })
  shown(true)
  expect(await both).toEqual([{ items: [] }, { items: [] }])
  expect(dialogs).toBe(1)
})

test('a log-out that reached nobody is not undone by the next load, and is sent again', async () => {
  remember({ ...ANN, renewAt: Date.now() + 60_000 })
  answers['POST /auth/logout'] = unreachable
  const { restore, logOut, currentSession } = await load()
  await restore()
  expect(currentSession()).toEqual(ANN)
  await logOut()
  expect(currentSession()).toBeUndefined()

  const offline = await load()
  await offline.restore()
  expect(await offline.renew()).toBe(false)
  expect(offline.currentSession()).toBeUndefined()
  answers['POST /auth/logout'] = () => {
    cookie = ''
    return new Response(null, { status: 204 })
  }
  const online = await load()
  await online.restore()
  expect([online.currentSession(), cookie]).toEqual([undefined, ''])
  expect(asked).not.toContain('POST /auth/refresh')
})

test('whoever logs in after such a log-out stays logged in', async () => {
  remember({ ...ANN, renewAt: Date.now() + 60_000 })
  answers['POST /auth/logout'] = unreachable
  const before = await load()
  await before.restore()
  await before.logOut()
  const { restore, begun, currentSession } = await load()
  await restore()
  await begun({ token_type: 'cookie', expires_in: 900 } as never)
  asked.length = 0
  const after = await load()
  await after.restore()
  expect([currentSession(), after.currentSession(), asked]).toEqual([ANN, ANN, []])
})
