import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react'
import type { Card } from '../server/rest'
import { text } from '../text/text'
import { Picture } from './card-picture'
import { CardScene } from './card-scene'

const KEY_STEP = Math.PI / 12
const DRAG_STEP = 0.01

/** The card in 3D, turned by pointer and keys; without WebGL its picture. */
export default function Viewer({ card }: { card: Card }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scene = useRef<CardScene>(undefined)
  const [failed, setFailed] = useState(false)
  const [degrees, setDegrees] = useState(0)
  const front = card.images[0]
  useEffect(() => {
    if (!canvas.current) return
    try {
      scene.current = new CardScene(canvas.current, front)
    } catch {
      setFailed(true)
    }
    return () => scene.current?.dispose()
  }, [front])
  if (failed)
    return (
      <>
        <Picture src={front} name={card.name} sizes="26rem" eager />
        <p className="small muted">{text.card.noWebGl}</p>
      </>
    )
  const turn = (yaw: number, pitch: number) => setDegrees(scene.current?.turn(yaw, pitch) ?? 0)
  const onKey = (event: KeyboardEvent) => {
    const keys: Record<string, [number, number]> = {
      ArrowLeft: [-KEY_STEP, 0],
      ArrowRight: [KEY_STEP, 0],
      ArrowUp: [0, -KEY_STEP],
      ArrowDown: [0, KEY_STEP],
      Enter: [Math.PI, 0],
    }
    const step = keys[event.key]
    if (!step || event.target !== event.currentTarget) return
    event.preventDefault()
    turn(...step)
  }
  const onMove = (event: PointerEvent) => {
    if (event.buttons !== 0) turn(event.movementX * DRAG_STEP, event.movementY * DRAG_STEP)
  }
  const side = degrees > 90 && degrees < 270 ? text.card.backSide : text.card.front
  return (
    <div className="viewer">
      {/* biome-ignore lint/a11y/useSemanticElements: no element of HTML is a thing to turn */}
      <div
        className="viewer-stage"
        role="group"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys turn it
        tabIndex={0}
        aria-label={text.card.viewer(card.name, side)}
        aria-describedby="viewer-hint"
        data-degrees={degrees}
        onKeyDown={onKey}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={onMove}
      >
        <canvas ref={canvas} />
      </div>
      <div className="viewer-buttons">
        <button
          className="button"
          type="button"
          aria-label={text.card.left}
          onClick={() => turn(-KEY_STEP * 2, 0)}
        >
          ←
        </button>
        <button className="button" type="button" onClick={() => turn(Math.PI, 0)}>
          {text.card.over}
        </button>
        <button
          className="button"
          type="button"
          aria-label={text.card.right}
          onClick={() => turn(KEY_STEP * 2, 0)}
        >
          →
        </button>
      </div>
      <p className="small muted" id="viewer-hint">
        {text.card.viewerHint}
      </p>
    </div>
  )
}
