import { useState } from 'react'
import type { Schema } from '../server/rest'
import { capital, count, money, text } from '../text/text'
import { Skeleton } from '../ui/notices'
import type { Choose } from './browse-page'
import { chosenOf, type Search, unfiltered } from './search'

export type Facets = Schema<'Facets'>
export type SetNames = ReadonlyMap<string, string>

interface Props {
  search: Search
  names: SetNames
  choose: Choose
}

const SHOWN_AT_FIRST = 6

function priceName(least: number, most: number | undefined): string {
  if (most === undefined) return text.browse.from(money(least, true))
  const next = money(most + 1, true)
  return least === 0 ? text.browse.under(next) : text.browse.between(money(least, true), next)
}

/** What can be chosen, with how many cards have it. */
export function FilterPanel({ search, facets, names, choose }: Props & { facets: Facets | undefined }) {
  if (!facets)
    return (
      <div className="filter-groups">
        <Skeleton lines={6} />
      </div>
    )
  const traitNames = [...new Set(facets.trait.map(({ name }) => name))]
  const turn = (change: Partial<Search>) => choose({ ...search, ...change })
  return (
    <div className="filter-groups">
      <Group
        title={text.browse.groups.status}
        options={facets.status.map(({ value, count }) => {
          const status = value as 'open' | 'none'
          const on = search.status === status
          return {
            key: value,
            name: text.browse.statuses[status],
            count,
            on,
            turn: () => turn({ status: on ? undefined : status }),
          }
        })}
      />
      <Group
        title={text.browse.groups.price}
        options={facets.price
          .filter(({ count }) => count > 0)
          .map(({ min_price, max_price, count }) => {
            const most = max_price ?? undefined
            const on = search.minPrice === min_price && search.maxPrice === most
            return {
              key: String(min_price),
              name: priceName(min_price, most),
              count,
              on,
              turn: () =>
                turn(
                  on ? { minPrice: undefined, maxPrice: undefined } : { minPrice: min_price, maxPrice: most },
                ),
            }
          })}
      />
      {(['rarity', 'set'] as const).map((group) => (
        <Group
          key={group}
          title={text.browse.groups[group]}
          options={facets[group].map(({ value, count }) => {
            const on = search[group] === value
            const name = group === 'set' ? (names.get(value) ?? value) : capital(value)
            return { key: value, name, count, on, turn: () => turn({ [group]: on ? undefined : value }) }
          })}
        />
      ))}
      {traitNames.map((trait) => (
        <Group
          key={trait}
          title={capital(trait)}
          options={facets.trait
            .filter(({ name }) => name === trait)
            .map(({ value, count }) => {
              const on = search.traits[trait] === value
              const { [trait]: _, ...others } = search.traits
              const traits = on ? others : { ...others, [trait]: value }
              return { key: value, name: capital(value), count, on, turn: () => turn({ traits }) }
            })}
        />
      ))}
    </div>
  )
}

interface Option {
  key: string
  name: string
  count: number
  on: boolean
  turn: () => void
}

function Group({ title, options }: { title: string; options: Option[] }) {
  const [all, setAll] = useState(false)
  if (options.length === 0) return null
  const shown = all ? options : options.slice(0, SHOWN_AT_FIRST)
  return (
    <fieldset className="filter-group">
      <legend>{title}</legend>
      {shown.map(({ key, name, count: cards, on, turn }) => (
        <button key={key} type="button" className="filter" aria-pressed={on} onClick={turn}>
          <span className="filter-mark" aria-hidden="true">
            {on ? '✓' : ''}
          </span>
          <span className="filter-name">{name}</span>
          <span className="number muted small">{count(cards)}</span>
        </button>
      ))}
      {!all && options.length > SHOWN_AT_FIRST && (
        <button type="button" className="button quiet" onClick={() => setAll(true)}>
          {text.browse.moreValues}
        </button>
      )}
    </fieldset>
  )
}

/** The filters that are set; a press removes one. */
export function Chips({ search, names, choose }: Props) {
  const chosen = chosenOf(search)
  if (chosen.length === 0) return null
  return (
    <ul className="chips" aria-label={text.browse.filters}>
      {chosen.map(({ group, value, without }) => {
        const name = chipName(search, group, value, names)
        return (
          <li key={group}>
            <button
              type="button"
              className="chip"
              aria-label={text.browse.remove(name)}
              onClick={() => choose(without)}
            >
              {name} <span aria-hidden="true">×</span>
            </button>
          </li>
        )
      })}
      {chosen.length > 1 && (
        <li>
          <button type="button" className="button quiet" onClick={() => choose(unfiltered(search))}>
            {text.browse.clear}
          </button>
        </li>
      )}
    </ul>
  )
}

function chipName(search: Search, group: string, value: string, names: SetNames): string {
  if (group === 'status') return text.browse.statuses[value as 'open' | 'none']
  if (group === 'price') return priceName(search.minPrice ?? 0, search.maxPrice)
  if (group === 'set') return names.get(value) ?? value
  if (group === 'rarity') return capital(value)
  return `${capital(group.replace('trait:', ''))}: ${capital(value)}`
}
