import type { TextareaHTMLAttributes } from 'react'
import { Labelled } from './labelled'

interface Props extends Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, 'id'> {
  name: string
  label: string
  hint?: string
}

/** A labelled field of several lines, with its hint and what the server said of it. */
export function TextArea({ name, label, hint, ...rest }: Props) {
  return (
    <Labelled name={name} label={label} hint={hint}>
      {(described) => <textarea {...described} name={name} {...rest} />}
    </Labelled>
  )
}
