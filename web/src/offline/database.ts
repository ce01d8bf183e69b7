/** What this browser keeps for the time without a network, by user: nobody else's is ever read. IndexedDB. */
export interface KeptAnswer {
  user: string
  address: string
  body: unknown
  /** When the server said so (ms, of this device). */
  at: number
}

export interface WaitingAction {
  id?: number
  user: string
  verb: 'put' | 'delete'
  address: string
}

const NAME = 'ece-offline'
const ANSWERS = 'answers'
const ACTIONS = 'actions'
export const ANSWERS_MAX = 400
export const ACTIONS_MAX = 50

let opened: Promise<IDBDatabase> | undefined

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1)
    asked.onupgradeneeded = () => {
      const answers = asked.result.createObjectStore(ANSWERS, { keyPath: ['user', 'address'] })
      answers.createIndex('at', 'at')
      asked.result.createObjectStore(ACTIONS, { keyPath: 'id', autoIncrement: true })
    }
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
  return opened
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

async function store(name: string, mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await database()).transaction(name, mode).objectStore(name)
}

export async function keepAnswer(answer: KeptAnswer): Promise<void> {
  const answers = await store(ANSWERS, 'readwrite')
  await done(answers.put(answer))
  let beyond = (await done(answers.count())) - ANSWERS_MAX
  if (beyond <= 0) return
  const oldest = answers.index('at').openCursor()
  oldest.onsuccess = () => {
    if (!oldest.result || beyond-- <= 0) return
    oldest.result.delete()
    oldest.result.continue()
  }
}

export async function keptAnswer(user: string, address: string): Promise<KeptAnswer | undefined> {
  return done((await store(ANSWERS, 'readonly')).get([user, address]))
}

/** False: too many wait already. */
export async function keepAction(action: WaitingAction): Promise<boolean> {
  const actions = await store(ACTIONS, 'readwrite')
  if ((await done(actions.count())) >= ACTIONS_MAX) return false
  await done(actions.add(action))
  return true
}

/** In the order in which they were done. */
export async function waitingActions(): Promise<Required<WaitingAction>[]> {
  return done((await store(ACTIONS, 'readonly')).getAll())
}

export async function dropAction(id: number): Promise<void> {
  await done((await store(ACTIONS, 'readwrite')).delete(id))
}

/** Nothing of any user stays. */
export async function forgetAll(): Promise<void> {
  for (const name of [ANSWERS, ACTIONS]) await done((await store(name, 'readwrite')).clear())
}
