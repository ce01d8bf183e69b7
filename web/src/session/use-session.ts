import { useSyncExternalStore } from 'react'
import { currentSession, onSession, type Session } from './session'

/** The user, or undefined for a guest. */
export const useSession = (): Session | undefined => useSyncExternalStore(onSession, currentSession)
