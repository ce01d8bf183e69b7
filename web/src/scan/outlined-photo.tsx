import { useEffect, useRef } from 'react'
import type { Schema } from '../server/rest'
import { text } from '../text/text'
import type { Photo } from './photo'

/** The photograph, with the outline of the card drawn over it once it is known. */
export function OutlinedPhoto({ photo, scan }: { photo: Photo; scan: Schema<'Scan'> | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    canvas.current?.getContext('2d')?.drawImage(photo, 0, 0)
  }, [photo])
  const quad = scan?.quad
  return (
    <div className="scan-photo" data-looking={scan === undefined}>
      <canvas
        ref={canvas}
        width={photo.width}
        height={photo.height}
        role="img"
        aria-label={quad ? text.scan.photo : text.scan.photoOnly}
      />
      {quad && (
        <svg viewBox={`0 0 ${scan.width} ${scan.height}`} aria-hidden="true">
          <polygon points={quad.map((corner) => corner.join(',')).join(' ')} />
        </svg>
      )}
    </div>
  )
}
