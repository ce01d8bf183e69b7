import { type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { text } from '../text/text'

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
}

/** A modal dialog of the browser: it holds the focus, Escape closes it, and the focus returns. */
export function Dialog({ title, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  // Before the fields in it take the focus, which opening would give to the first button.
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    return () => shown?.close()
  }, [])
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby={id} onCancel={onClose}>
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <button className="button icon" type="button" onClick={onClose} aria-label={text.ui.close}>
          <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
            <path className="stroke" d="m6 6 12 12M18 6 6 18" />
          </svg>
        </button>
      </div>
      {children}
    </dialog>
  )
}
