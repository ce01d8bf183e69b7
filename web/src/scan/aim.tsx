import { useCallback, useEffect, useId, useRef, useState } from 'react'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { cameraFault, closeCamera, openCamera } from './camera'
import { type Photo, photoOfFile, photoOfVideo } from './photo'

type Fault = keyof typeof text.scan.faults

/** The camera, which starts after a tap, and pictures of the device, which are always offered. */
export function Aim({ take }: { take: (photo: Photo) => void }) {
  const [stream, setStream] = useState<MediaStream>()
  const [waits, setWaits] = useState(false)
  const [fault, setFault] = useState<Fault>()
  // The light of the camera goes off when somebody leaves, also while the browser still asks for the permission.
  const gone = useRef(false)
  const opened = useRef<MediaStream>(undefined)
  const close = useCallback(() => {
    if (opened.current) closeCamera(opened.current)
    opened.current = undefined
    setStream(undefined)
  }, [])
  useEffect(() => {
    gone.current = false
    return () => {
      gone.current = true
      close()
    }
  }, [close])
  const start = async () => {
    setWaits(true)
    setFault(undefined)
    try {
      opened.current = await openCamera()
      if (gone.current) close()
      else setStream(opened.current)
    } catch (error) {
      setFault(cameraFault(error))
    }
    setWaits(false)
  }
  const choose = (file: File) => {
    setFault(undefined)
    photoOfFile(file)
      .then(take)
      .catch(() => setFault('unreadable'))
  }
  return (
    <div className="scan-aim">
      {stream ? (
        <Live stream={stream} take={take} close={close} />
      ) : (
        <div className="scan-start">
          <CardFrame />
          <Button kind="primary" disabled={waits} onClick={() => void start()}>
            {waits ? text.scan.starting : text.scan.start}
          </Button>
        </div>
      )}
      <p className="scan-fault" role="alert">
        {fault && text.scan.faults[fault]}
      </p>
      <div className="scan-files">
        <span className="muted small">{text.scan.others}</span>
        <div className="buttons">
          <PictureInput label={text.scan.take} choose={choose} capture />
          <PictureInput label={text.scan.choose} choose={choose} />
        </div>
      </div>
    </div>
  )
}

function Live({
  stream,
  take,
  close,
}: {
  stream: MediaStream
  take: (photo: Photo) => void
  close: () => void
}) {
  const video = useRef<HTMLVideoElement>(null)
  const [ready, setReady] = useState(false)
  const shutter = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (video.current) video.current.srcObject = stream
    const onHidden = () => document.hidden && close()
    document.addEventListener('visibilitychange', onHidden)
    return () => document.removeEventListener('visibilitychange', onHidden)
  }, [stream, close])
  useEffect(() => {
    if (ready) shutter.current?.focus()
  }, [ready])
  return (
    <div className="scan-live">
      <div className="scan-view">
        <video
          ref={video}
          aria-label={text.scan.live}
          autoPlay
          playsInline
          muted
          onLoadedData={() => setReady(true)}
        />
        <CardFrame />
      </div>
      <p role="status">{ready ? text.scan.aim : text.scan.starting}</p>
      <div className="buttons">
        <button
          ref={shutter}
          className="button primary scan-shutter"
          type="button"
          disabled={!ready}
          onClick={() => video.current && take(photoOfVideo(video.current))}
        >
          {text.scan.shoot}
        </button>
        <Button onClick={close}>{text.scan.stop}</Button>
      </div>
    </div>
  )
}

/** Where the card should be. */
function CardFrame() {
  return (
    <svg className="scan-frame" viewBox="0 0 100 140" aria-hidden="true">
      <path d="M4 24V10a6 6 0 0 1 6-6h14M76 4h14a6 6 0 0 1 6 6v14M96 116v14a6 6 0 0 1-6 6H76M24 136H10a6 6 0 0 1-6-6v-14" />
    </svg>
  )
}

function PictureInput({
  label,
  choose,
  capture = false,
}: {
  label: string
  choose: (file: File) => void
  capture?: boolean
}) {
  const id = useId()
  return (
    // Telephones offer the camera or the pictures, other devices their files.
    <span className={capture ? 'scan-file touch-only' : 'scan-file'}>
      <label className="button" htmlFor={id}>
        {label}
      </label>
      <input
        id={id}
        className="visually-hidden"
        type="file"
        accept="image/*"
        {...(capture && { capture: 'environment' as const })}
        onChange={(event) => {
          const file = event.target.files?.[0]
          if (file) choose(file)
          event.target.value = ''
        }}
      />
    </span>
  )
}
