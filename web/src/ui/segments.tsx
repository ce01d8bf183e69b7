interface Props<Key extends string | number> {
  label: string
  options: readonly { key: Key; title: string }[]
  chosen: Key
  choose: (key: Key) => void
}

/** A choice of a few, side by side. */
export function Segments<Key extends string | number>({ label, options, chosen, choose }: Props<Key>) {
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{label}</legend>
      {options.map(({ key, title }) => (
        <button key={key} type="button" aria-pressed={key === chosen} onClick={() => choose(key)}>
          {title}
        </button>
      ))}
    </fieldset>
  )
}
