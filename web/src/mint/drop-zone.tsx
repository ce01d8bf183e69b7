import { type DragEvent, useId, useState } from 'react'
import { text } from '../text/text'
import { TYPES } from './draft'

/** Files by drag and drop, or by the picker of the device. */
export function DropZone({ take, disabled }: { take: (files: File[]) => void; disabled: boolean }) {
  const id = useId()
  const [over, setOver] = useState(false)
  const drag = (event: DragEvent, isOver: boolean) => {
    event.preventDefault()
    setOver(isOver && !disabled)
  }
  const drop = (event: DragEvent) => {
    drag(event, false)
    if (!disabled) take([...event.dataTransfer.files])
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping needs a pointer; the picker inside does without
    <div
      className={over ? 'drop-zone over' : 'drop-zone'}
      onDragOver={(event) => drag(event, true)}
      onDragLeave={(event) => drag(event, false)}
      onDrop={drop}
    >
      <p className="drop-title">{text.mint.drop}</p>
      <p className="muted small">{text.mint.dropHint}</p>
      <span>
        <label className="button" htmlFor={id}>
          {text.mint.choose}
        </label>
        <input
          id={id}
          className="visually-hidden"
          type="file"
          multiple
          accept={TYPES.join(',')}
          disabled={disabled}
          onChange={(event) => {
            take([...(event.target.files ?? [])])
            event.target.value = ''
          }}
        />
      </span>
    </div>
  )
}
