import { type KeyboardEvent, useEffect, useRef, useState } from 'react'
import { text } from '../text/text'
import type { Choose } from './browse-page'
import type { Search } from './search'

const TYPED_AFTER_MS = 200

/** Searches while one types. The address has the words; a step back restores those from before they were typed. */
export function SearchField({
  search,
  choose,
  toResults,
}: {
  search: Search
  choose: Choose
  toResults: () => void
}) {
  const [typed, setTyped] = useState(search.q)
  const sent = useRef(search.q)
  const input = useRef<HTMLInputElement>(null)
  // Another address, not by what was typed here: a step back, a filter that was removed.
  useEffect(() => {
    if (search.q === sent.current) return
    sent.current = search.q
    setTyped(search.q)
  }, [search.q])
  useEffect(() => {
    if (typed.trim() === sent.current) return
    const timer = setTimeout(() => {
      const before = sent.current
      sent.current = typed.trim()
      // The first word begins a search, further letters change it.
      choose({ ...search, q: typed.trim() }, before !== '')
    }, TYPED_AFTER_MS)
    return () => clearTimeout(timer)
  }, [typed, search, choose])
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowDown' && event.key !== 'Enter') return
    event.preventDefault()
    toResults()
  }
  return (
    <search className="search">
      <label className="visually-hidden" htmlFor="browse-q">
        {text.browse.search}
      </label>
      <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
        <path className="stroke" d="M15.5 15.5 21 21M17 10a7 7 0 1 1-14 0 7 7 0 0 1 14 0" />
      </svg>
      <input
        id="browse-q"
        ref={input}
        type="search"
        value={typed}
        placeholder={text.browse.placeholder}
        maxLength={200}
        autoComplete="off"
        spellCheck={false}
        aria-describedby="browse-hint"
        onChange={(event) => setTyped(event.target.value)}
        onKeyDown={onKey}
      />
      <span className="visually-hidden" id="browse-hint">
        {text.browse.toResults}
      </span>
      {typed !== '' && (
        <button
          className="button icon"
          type="button"
          aria-label={text.browse.clearSearch}
          onClick={() => {
            setTyped('')
            input.current?.focus()
          }}
        >
          <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
            <path className="stroke" d="m6 6 12 12M18 6 6 18" />
          </svg>
        </button>
      )}
    </search>
  )
}
