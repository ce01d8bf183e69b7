import { type ReactNode, useId } from 'react'
import { useFault } from './form'

/** What an input has of its label, its hint and what the server said of it. */
interface Described {
  id: string
  'aria-invalid': boolean
  'aria-describedby': string | undefined
}

interface Props {
  name: string
  label: string
  hint?: string | undefined
  children: (described: Described) => ReactNode
}

/** A label, an input, its hint and what the server said of it. */
export function Labelled({ name, label, hint, children }: Props) {
  const id = useId()
  const fault = useFault(name)
  const notes = [hint && `${id}-hint`, fault && `${id}-fault`].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-invalid': fault !== undefined, 'aria-describedby': notes || undefined })}
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {fault && (
        <span className="fault" id={`${id}-fault`}>
          {fault}
        </span>
      )}
    </div>
  )
}
