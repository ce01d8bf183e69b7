export const SORTS = ['relevance', 'name', 'price', 'ending', 'listed'] as const
export type Sort = (typeof SORTS)[number]
/** In these orders the server gives only cards for sale. */
export const FOR_SALE_SORTS: readonly Sort[] = ['price', 'ending', 'listed']

/** What is searched for. It is all in the address of the page, so that a link or the back button restores it. */
export interface Search {
  q: string
  set?: string | undefined
  rarity?: string | undefined
  status?: 'open' | 'none' | undefined
  minPrice?: number | undefined
  maxPrice?: number | undefined
  /** Values of traits by their names. */
  traits: Readonly<Record<string, string>>
  sort: Sort
}

export const EVERYTHING: Search = { q: '', traits: {}, sort: 'relevance' }

const Q_LENGTH_MAX = 200
const TRAITS_MAX = 8

/** The search that an address asks for; what makes no sense in it is ignored. */
export function searchOf(query: URLSearchParams): Search {
  const sort = query.get('sort')
  const status = query.get('status')
  return {
    q: (query.get('q') ?? '').slice(0, Q_LENGTH_MAX),
    set: query.get('set') || undefined,
    rarity: query.get('rarity') || undefined,
    status: status === 'open' || status === 'none' ? status : undefined,
    minPrice: amountOf(query.get('min')),
    maxPrice: amountOf(query.get('max')),
    traits: traitsOf(query.getAll('trait')),
    sort: SORTS.find((one) => one === sort) ?? 'relevance',
  }
}

function amountOf(given: string | null): number | undefined {
  return given !== null && /^\d{1,15}$/.test(given) ? Number(given) : undefined
}

function traitsOf(given: readonly string[]): Record<string, string> {
  const pairs = given
    .map((one) => /^([^:]{1,64}):(.{1,64})$/.exec(one))
    .filter((match) => match !== null)
    .slice(0, TRAITS_MAX)
  return Object.fromEntries(pairs.map((match) => [match[1], match[2]]))
}

const traitList = (search: Search) => Object.entries(search.traits).map(([name, value]) => `${name}:${value}`)

/** The address of a search. */
export function addressOf(search: Search): string {
  const query = new URLSearchParams()
  const given = {
    q: search.q.trim(),
    set: search.set,
    rarity: search.rarity,
    status: search.status,
    min: search.minPrice,
    max: search.maxPrice,
    sort: search.sort === 'relevance' ? undefined : search.sort,
  }
  for (const [name, value] of Object.entries(given))
    if (value !== undefined && value !== '') query.set(name, String(value))
  for (const trait of traitList(search)) query.append('trait', trait)
  const text = query.toString()
  return text === '' ? '/browse' : `/browse?${text}`
}

/** The filters, as the server takes them. */
export const filtersOf = (search: Search) => ({
  q: search.q.trim(),
  set: search.set ?? null,
  rarity: search.rarity ?? null,
  trait: traitList(search),
  min_price: search.minPrice ?? null,
  max_price: search.maxPrice ?? null,
  status: search.status ?? null,
})

/** A filter that is set: what it is about, and the search without it. */
export interface Chosen {
  group: string
  value: string
  without: Search
}

/** All filters that are set; words are none. */
export function chosenOf(search: Search): Chosen[] {
  const chosen: Chosen[] = []
  for (const name of ['status', 'rarity', 'set'] as const) {
    const value = search[name]
    if (value !== undefined) chosen.push({ group: name, value, without: { ...search, [name]: undefined } })
  }
  if (search.minPrice !== undefined || search.maxPrice !== undefined)
    chosen.push({
      group: 'price',
      value: `${search.minPrice ?? 0}-${search.maxPrice ?? ''}`,
      without: { ...search, minPrice: undefined, maxPrice: undefined },
    })
  for (const [name, value] of Object.entries(search.traits)) {
    const { [name]: _, ...traits } = search.traits
    chosen.push({ group: `trait:${name}`, value, without: { ...search, traits } })
  }
  return chosen
}

/** The search with the same words and order, and no filter. */
export const unfiltered = ({ q, sort }: Search): Search => ({ ...EVERYTHING, q, sort })
