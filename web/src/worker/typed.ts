const typed = new Set<HTMLInputElement | HTMLTextAreaElement>()

/** Remember which fields somebody has typed in. */
export function followTyping(): void {
  addEventListener(
    'input',
    ({ target }) => {
      if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) typed.add(target)
      // Those of pages that were left.
      for (const field of typed) if (!field.isConnected) typed.delete(field)
    },
    true,
  )
}

/** Whether this page has something that a reload would lose. */
export const hasTyped = (): boolean =>
  [...typed].some(({ isConnected, value }) => isConnected && value !== '')
