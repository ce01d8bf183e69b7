import { useSyncExternalStore } from 'react'

export type Theme = 'light' | 'dark'
/** `system`: as the device has it, also when that changes. */
export type ThemeChoice = Theme | 'system'

const KEY = 'theme'
const device = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()

export function themeChoice(): ThemeChoice {
  const kept = localStorage.getItem(KEY)
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

function shownTheme(): Theme {
  const choice = themeChoice()
  return choice === 'system' ? (device.matches ? 'dark' : 'light') : choice
}

export function showTheme(): void {
  document.documentElement.dataset.theme = shownTheme()
  for (const listener of [...listeners]) listener()
}
device.addEventListener('change', showTheme)

export function chooseTheme(choice: ThemeChoice): void {
  if (choice === 'system') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, choice)
  showTheme()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
export const useTheme = (): Theme => useSyncExternalStore(subscribe, shownTheme)
export const useThemeChoice = (): ThemeChoice => useSyncExternalStore(subscribe, themeChoice)
