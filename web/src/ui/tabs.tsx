import { type KeyboardEvent, type ReactNode, useId, useRef } from 'react'

interface Props<K extends string> {
  label: string
  tabs: readonly { key: K; title: string }[]
  chosen: K
  choose: (key: K) => void
  children: ReactNode
}

/** One of several panels; arrow keys go from tab to tab. `children` is the chosen panel. */
export function Tabs<K extends string>({ label, tabs, chosen, choose, children }: Props<K>) {
  const id = useId()
  const list = useRef<HTMLDivElement>(null)
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const now = tabs.findIndex(({ key }) => key === chosen)
    const next = (now + step + tabs.length) % tabs.length
    const tab = tabs[next]
    if (tab) choose(tab.key)
    ;(list.current?.children[next] as HTMLElement | undefined)?.focus()
  }
  return (
    <>
      <div className="segments" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {tabs.map(({ key, title }) => (
          <button
            key={key}
            type="button"
            role="tab"
            id={`${id}-${key}`}
            aria-selected={key === chosen}
            aria-controls={`${id}-panel`}
            tabIndex={key === chosen ? 0 : -1}
            onClick={() => choose(key)}
          >
            {title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${chosen}`}>
        {children}
      </div>
    </>
  )
}
