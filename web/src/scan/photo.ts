/** What is sent: large enough to see a card, small enough for a slow line. Nothing else of a file is sent, such as where it was taken. */
const SIDE_MAX = 1600
const QUALITY = 0.85

/** A picture as it is looked at, drawn: the content security policy allows no picture that is not of this site. */
export type Photo = HTMLCanvasElement

/** Width and height, reduced to SIDE_MAX. */
export function reduced(width: number, height: number): [number, number] {
  const scale = Math.min(1, SIDE_MAX / Math.max(width, height))
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))]
}

/** A frame of the camera. */
export const photoOfVideo = (video: HTMLVideoElement): Photo =>
  drawn(video, video.videoWidth, video.videoHeight)

/** Upright. Rejects where the browser can't show the file. */
export async function photoOfFile(file: File): Promise<Photo> {
  const bitmap = await createImageBitmap(file)
  const photo = drawn(bitmap, bitmap.width, bitmap.height)
  bitmap.close()
  return photo
}

function drawn(source: CanvasImageSource, width: number, height: number): Photo {
  const canvas = document.createElement('canvas')
  ;[canvas.width, canvas.height] = reduced(width, height)
  canvas.getContext('2d')?.drawImage(source, 0, 0, canvas.width, canvas.height)
  return canvas
}

export function jpegOf(photo: Photo): Promise<Blob> {
  return new Promise((resolve, reject) =>
    photo.toBlob((blob) => (blob ? resolve(blob) : reject(new TypeError('no JPEG'))), 'image/jpeg', QUALITY),
  )
}
