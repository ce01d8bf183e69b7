import { type ComponentType, lazy } from 'react'
import type { Screen, ScreenProps } from '../screens'

const made = new Map<Screen, ComponentType<ScreenProps>>()

/** The component of a screen, which is loaded when it is first drawn. */
export function componentOf(screen: Screen): ComponentType<ScreenProps> {
  let component = made.get(screen)
  if (!component) {
    component = lazy(screen.load)
    made.set(screen, component)
  }
  return component
}
