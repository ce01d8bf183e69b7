const HIGH = 0.75
const MIDDLE = 0.45

export type Level = 'high' | 'middle' | 'low'

/** A confidence of 0 to 1 in words: those of `text.scan.levels`. */
export const levelOf = (confidence: number): Level =>
  confidence >= HIGH ? 'high' : confidence >= MIDDLE ? 'middle' : 'low'
