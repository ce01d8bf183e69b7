import { type ComponentType, useEffect, useState } from 'react'
import type { Screen, ScreenProps } from '../screens'

const loaded = new Map<Screen, ComponentType<ScreenProps>>()

export async function loadScreen(screen: Screen): Promise<void> {
  loaded.set(screen, (await screen.load()).default)
}

/**
 * The component of a screen; undefined while it is loaded. Throws where it can't be. Not by React's `lazy`: what was
 * shown in its place would stay for 300 ms at least.
 */
export function useScreenComponent(screen: Screen): ComponentType<ScreenProps> | undefined {
  const component = loaded.get(screen)
  const [, arrived] = useState<Screen>()
  const [failure, failed] = useState<{ error: unknown }>()
  useEffect(() => {
    if (component) return
    let wanted = true
    loadScreen(screen).then(
      () => wanted && arrived(screen),
      (error: unknown) => wanted && failed({ error }),
    )
    return () => {
      wanted = false
    }
  }, [component, screen])
  if (failure) throw failure.error
  return component
}
