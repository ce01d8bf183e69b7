/** A key for one intention of the user: its retries carry the same. Also where `crypto.randomUUID` is missing (http). */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
