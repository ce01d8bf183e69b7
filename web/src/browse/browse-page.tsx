import '../styles/browse.css'
import { useRef, useState } from 'react'
import { navigate } from '../router'
import type { ScreenProps } from '../screens'
import { rest } from '../server/rest'
import { Link } from '../shell/link'
import { count, text } from '../text/text'
import { useLoaded } from '../ui/loaded'
import { Chips, type Facets, FilterPanel, type SetNames } from './filters'
import { Results } from './results'
import {
  addressOf,
  chosenOf,
  FOR_SALE_SORTS,
  filtersOf,
  type Search,
  SORTS,
  type Sort,
  searchOf,
} from './search'
import { SearchField } from './search-field'

/** Show another search: a step back leads to this one, unless it only replaces it. */
export type Choose = (search: Search, replace?: boolean) => void

const choose: Choose = (search, replace = false) => navigate(addressOf(search), { replace, stay: true })

export default function BrowsePage({ query }: ScreenProps) {
  const search = searchOf(query)
  const address = addressOf(search)
  const facets = useLoaded(
    (signal) => rest('get', '/catalog/facets', { query: filtersOf(search), signal }),
    [address],
  )
  const sets = useLoaded((signal) => rest('get', '/catalog/sets', { signal }), [])
  const names: SetNames = new Map(sets.value?.items.map(({ code, name }) => [code, name]))
  const results = useRef<HTMLDivElement>(null)
  const toResults = () => results.current?.querySelector<HTMLElement>('a')?.focus()
  return (
    <section className="browse">
      <header className="browse-head">
        <h1>{text.browse.title}</h1>
        <SearchField search={search} choose={choose} toResults={toResults} />
        <Link className="button" href="/scan">
          {text.scan.title}
        </Link>
      </header>
      <Filters search={search} facets={facets.value} names={names} />
      <div className="browse-main" ref={results}>
        <Toolbar search={search} facets={facets.value} />
        <Chips search={search} names={names} choose={choose} />
        <Results search={search} choose={choose} />
      </div>
    </section>
  )
}

/** Beside the cards; on a narrow screen they are opened by a button. */
function Filters({ search, facets, names }: { search: Search; facets: Facets | undefined; names: SetNames }) {
  const [open, setOpen] = useState(false)
  return (
    <aside className="filters" aria-label={text.browse.filters} data-open={open}>
      <button
        className="button wide filters-toggle"
        type="button"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {open ? text.browse.hideFilters : text.browse.showFilters(chosenOf(search).length)}
      </button>
      <FilterPanel search={search} facets={facets} names={names} choose={choose} />
    </aside>
  )
}

function Toolbar({ search, facets }: { search: Search; facets: Facets | undefined }) {
  const total = facets?.total
  const nameOf = (sort: Sort) =>
    sort === 'relevance' && search.q.trim() === '' ? text.browse.sorts.newest : text.browse.sorts[sort]
  return (
    <div className="browse-bar">
      <p className="muted number" role="status">
        {total && text.browse.found(count(total.count), total.estimate)}
      </p>
      <label className="sort">
        <span className="muted small">{text.browse.sort}</span>
        <select
          value={search.sort}
          onChange={(event) => choose({ ...search, sort: event.target.value as Sort })}
        >
          {SORTS.map((sort) => (
            <option key={sort} value={sort}>
              {nameOf(sort)}
            </option>
          ))}
        </select>
      </label>
      {FOR_SALE_SORTS.includes(search.sort) && <p className="small muted note">{text.browse.onlyForSale}</p>}
    </div>
  )
}
