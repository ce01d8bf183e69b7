import { useSyncExternalStore } from 'react'
import { en, type Texts } from './en'

/** Languages with a complete catalogue. English is in the main bundle, the others are loaded when they are wanted. */
export const LOCALES = { en: 'English', de: 'Deutsch' } as const
export type Locale = keyof typeof LOCALES

const KEY = 'locale'
const CATALOGUES: Record<Locale, () => Promise<Texts>> = {
  en: async () => en,
  de: async () => (await import('./de')).de,
}

/** The texts of the user's language: read them when something is drawn, never when a module is loaded. */
export let text: Texts = en
let locale: Locale = 'en'
const listeners = new Set<() => void>()

const isLocale = (name: string | null): name is Locale => name !== null && name in LOCALES

/** What was chosen here, else the first language of the browser that there is. */
export function preferredLocale(): Locale {
  const kept = localStorage.getItem(KEY)
  if (isLocale(kept)) return kept
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find(isLocale)
  return wanted ?? 'en'
}

/** Use a language from now on. Where its catalogue can't be loaded, the page stays as it is. */
export async function setTexts(wanted: Locale): Promise<void> {
  if (wanted === locale) return
  text = await CATALOGUES[wanted]()
  locale = wanted
  for (const listener of [...listeners]) listener()
}

export async function chooseLocale(wanted: Locale): Promise<void> {
  await setTexts(wanted)
  localStorage.setItem(KEY, wanted)
}

/** The tag for numbers and dates: with the region of the browser where that has the same language (`en-GB`). */
export function formatTag(): string {
  const regional = navigator.languages.find((tag) => tag.startsWith(`${locale}-`))
  return regional ?? (locale === 'de' ? 'de-DE' : 'en-US')
}

export function onLocale(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const currentLocale = (): Locale => locale

export const useLocale = (): Locale => useSyncExternalStore(onLocale, currentLocale)
