import { createContext, type FormEvent, type ReactNode, useContext, useEffect, useRef, useState } from 'react'
import { Problem } from '../server/problem'
import { problemText } from '../text/problems'
import { Button } from './button'

/** What stands in a field of the form, by its name. */
export type Values = (name: string) => string

const Faults = createContext<ReadonlyMap<string, string>>(new Map())
/** What is wrong with a field of the form around it. */
export const useFault = (name: string): string | undefined => useContext(Faults).get(name)

interface Props {
  submit: string
  /** Rejects with a Problem: it is shown at its fields, and above the button. */
  onSubmit: (values: Values) => Promise<void>
  children?: ReactNode
  kind?: 'primary' | 'warn'
  /** In place of the text of a problem's code. */
  say?: (error: unknown) => string | undefined
  /** What else stands beside the button. */
  beside?: ReactNode
}

/** A form whose faults come from the server. */
export function Form({ submit, onSubmit, children, kind = 'primary', say, beside }: Props) {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (error !== undefined) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus()
  }, [error])

  const send = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (busy) return
    const fields = new FormData(event.currentTarget)
    setBusy(true)
    setError(undefined)
    try {
      await onSubmit((name) => String(fields.get(name) ?? ''))
    } catch (problem) {
      setError(problem)
    }
    setBusy(false)
  }

  const faults = new Map(
    error instanceof Problem ? error.faults.map(({ at, detail }) => [at, detail] as const) : [],
  )
  return (
    <form className="form" ref={form} onSubmit={send}>
      <Faults value={faults}>{children}</Faults>
      <div role="alert">
        {error !== undefined && <p className="fault">{say?.(error) ?? problemText(error)}</p>}
      </div>
      <div className="buttons">
        <Button type="submit" kind={kind} busy={busy}>
          {submit}
        </Button>
        {beside}
      </div>
    </form>
  )
}
