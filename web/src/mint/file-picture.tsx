import { useEffect, useRef } from 'react'

const WIDTH = 240
const HEIGHT = 336

/** A file that is not uploaded yet. Drawn: the content security policy allows no picture that is not of this site. */
export function FilePicture({ file, label }: { file: File; label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    let current = true
    createImageBitmap(file)
      .then((bitmap) => {
        const context = canvas.current?.getContext('2d')
        if (current && context) {
          const scale = Math.min(WIDTH / bitmap.width, HEIGHT / bitmap.height)
          const [width, height] = [bitmap.width * scale, bitmap.height * scale]
          context.clearRect(0, 0, WIDTH, HEIGHT)
          context.drawImage(bitmap, (WIDTH - width) / 2, (HEIGHT - height) / 2, width, height)
        }
        bitmap.close()
      })
      // No image after all: the server will say so.
      .catch(() => undefined)
    return () => {
      current = false
    }
  }, [file])
  return (
    <canvas
      className="mint-picture"
      ref={canvas}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={label}
    />
  )
}
