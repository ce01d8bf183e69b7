export type CameraFault = 'refused' | 'none' | 'busy' | 'insecure'

/** The camera at the back, if there is one. Rejects with what `getUserMedia` rejects with, or TypeError where there is none. */
export async function openCamera(): Promise<MediaStream> {
  const size = { width: { ideal: 1920 }, height: { ideal: 1080 } }
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', ...size }, audio: false })
}

export function closeCamera(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop()
}

/** Pages without https have no `mediaDevices` at all. */
export function cameraFault(error: unknown): CameraFault {
  const name = error instanceof Error ? error.name : ''
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'refused'
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'none'
  return name === 'TypeError' ? 'insecure' : 'busy'
}
