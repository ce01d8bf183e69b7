import '../styles/browse.css'
import '../styles/scan.css'
import { useEffect, useState } from 'react'
import { type Schema, scanned } from '../server/rest'
import { text } from '../text/text'
import { Failed } from '../ui/notices'
import { Aim } from './aim'
import { Matches } from './matches'
import { OutlinedPhoto } from './outlined-photo'
import { jpegOf, type Photo } from './photo'

export default function ScanPage() {
  const [photo, setPhoto] = useState<Photo>()
  return (
    <div className="scan-page">
      <header>
        <h1>{text.scan.title}</h1>
        <p className="muted">{text.scan.about}</p>
      </header>
      {photo ? <Result photo={photo} again={() => setPhoto(undefined)} /> : <Aim take={setPhoto} />}
    </div>
  )
}

/** What the server sees in a photograph. */
function Result({ photo, again }: { photo: Photo; again: () => void }) {
  const [scan, setScan] = useState<Schema<'Scan'>>()
  const [error, setError] = useState<unknown>()
  const [tries, setTries] = useState(0)
  // biome-ignore lint/correctness/useExhaustiveDependencies: each try asks again
  useEffect(() => {
    let current = true
    jpegOf(photo)
      .then(scanned)
      .then((found) => current && setScan(found))
      .catch((problem: unknown) => current && setError(problem))
    return () => {
      current = false
    }
  }, [photo, tries])
  return (
    <div className="scan-result">
      <OutlinedPhoto photo={photo} scan={scan} />
      {scan ? (
        <Matches scan={scan} again={again} />
      ) : error === undefined ? (
        <p className="scan-found" role="status">
          {text.scan.looking}
        </p>
      ) : (
        <Failed
          error={error}
          again={() => {
            setError(undefined)
            setTries(tries + 1)
          }}
        />
      )}
    </div>
  )
}
