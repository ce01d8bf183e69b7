import {
  BoxGeometry,
  DirectionalLight,
  HemisphereLight,
  Mesh,
  MeshStandardMaterial,
  PerspectiveCamera,
  Scene,
  SRGBColorSpace,
  TextureLoader,
  WebGLRenderer,
} from 'three'
import { pictureAddress } from './picture-address'

const PITCH_MAX = Math.PI / 3
const FULL = 2 * Math.PI
const BACK = 0x2b3070
const EDGE = 0xe8e6df
/** So much of the way that is left is turned in a frame. */
const EASE = 0.22
const STILL = 0.002

/** A card of 5 by 7 with its picture. Draws only when something changes. Throws where there is no WebGL. */
export class CardScene {
  readonly #renderer: WebGLRenderer
  readonly #scene = new Scene()
  readonly #camera = new PerspectiveCamera(32, 5 / 7, 0.1, 50)
  readonly #card: Mesh
  readonly #watch: ResizeObserver
  #yaw = 0
  #pitch = 0
  #frame = 0

  constructor(canvas: HTMLCanvasElement, front: string | undefined) {
    this.#renderer = new WebGLRenderer({ canvas, alpha: true, antialias: true })
    const plain = () => new MeshStandardMaterial({ color: EDGE, roughness: 0.6 })
    const face = new MeshStandardMaterial({ roughness: 0.45 })
    const back = new MeshStandardMaterial({ color: BACK, roughness: 0.45 })
    this.#card = new Mesh(new BoxGeometry(5, 7, 0.08), [plain(), plain(), plain(), plain(), face, back])
    this.#scene.add(this.#card, new HemisphereLight(0xffffff, 0xbbbbcc, 2.4))
    const light = new DirectionalLight(0xffffff, 1.4)
    light.position.set(2, 3, 6)
    this.#scene.add(light)
    this.#camera.position.z = 14.2
    if (front) {
      face.map = new TextureLoader().load(pictureAddress(front), () => this.#ask())
      face.map.colorSpace = SRGBColorSpace
      face.map.anisotropy = this.#renderer.capabilities.getMaxAnisotropy()
    }
    this.#watch = new ResizeObserver(() => this.#resize(canvas))
    this.#watch.observe(canvas)
  }

  /** Turn it by so many radians; to how many degrees from its front, from 0 to 359. */
  turn(yaw: number, pitch: number): number {
    this.#yaw += yaw
    this.#pitch = Math.max(-PITCH_MAX, Math.min(PITCH_MAX, this.#pitch + pitch))
    this.#ask()
    return Math.round(((((this.#yaw % FULL) + FULL) % FULL) / FULL) * 360) % 360
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame)
    this.#watch.disconnect()
    this.#card.geometry.dispose()
    for (const material of this.#card.material as MeshStandardMaterial[]) {
      material.map?.dispose()
      material.dispose()
    }
    this.#renderer.dispose()
  }

  #resize(canvas: HTMLCanvasElement): void {
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, 2))
    this.#renderer.setSize(canvas.clientWidth, canvas.clientHeight, false)
    this.#ask()
  }

  #ask(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => this.#draw())
  }

  #draw(): void {
    const { rotation } = this.#card
    // Whoever asked for less motion sees the card where it was turned to, without the way there.
    const ease = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1 : EASE
    rotation.y += (this.#yaw - rotation.y) * ease
    rotation.x += (this.#pitch - rotation.x) * ease
    this.#renderer.render(this.#scene, this.#camera)
    if (Math.abs(this.#yaw - rotation.y) + Math.abs(this.#pitch - rotation.x) > STILL) this.#ask()
  }
}
