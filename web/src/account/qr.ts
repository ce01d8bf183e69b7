/** QR codes (ISO/IEC 18004), model 2, of bytes, with error correction M, in the versions 1 to 10: up to 213 bytes. */

// For each version: bytes of error correction in a block, then the numbers of data bytes of its blocks.
const BLOCKS: readonly (readonly [number, readonly number[]])[] = [
  [10, [16]], [16, [28]], [26, [44]], [18, [32, 32]], [24, [43, 43]], [16, [27, 27, 27, 27]],
  [18, [31, 31, 31, 31]], [22, [38, 38, 39, 39]], [22, [36, 36, 36, 37, 37]], [26, [43, 43, 43, 43, 44]],
] // biome-ignore format: a table
const ALIGNED: readonly (readonly number[])[] = [
  [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50],
] // biome-ignore format: a table
const BYTES_MODE = 0b0100
const PADS = [0xec, 0x11]
const LEVEL_M = 0b00
const FORMAT_GENERATOR = 0b10100110111
const FORMAT_MASK = 0b101010000010010
const VERSION_GENERATOR = 0b1111100100101
const FIELD = 0x11d

export class TextTooLong extends Error {
  override name = 'TextTooLong'
}

type Grid = boolean[][]
type Mask = (x: number, y: number) => boolean

const MASKS: readonly Mask[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
]

/** The modules, row by row; true is dark. No quiet zone. Throws TextTooLong. */
export function qrModules(text: string): Grid {
  const bytes = new TextEncoder().encode(text)
  const version = BLOCKS.findIndex(([, sizes], index) => bytes.length + (index < 9 ? 2 : 3) <= sum(sizes)) + 1
  if (version === 0) throw new TextTooLong(`${bytes.length} bytes`)
  const codewords = interleaved(dataOf(bytes, version), version)
  const size = 17 + 4 * version
  const grid: Grid = Array.from({ length: size }, () => Array<boolean>(size).fill(false))
  const fixed: Grid = grid.map((row) => [...row])
  drawFunctions(grid, fixed, version)
  drawData(grid, fixed, codewords)
  return best(grid, fixed)
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

function dataOf(bytes: Uint8Array, version: number): number[] {
  const capacity = sum(BLOCKS[version - 1]?.[1] ?? [])
  const lengthBits = version < 10 ? 8 : 16
  let bits = BYTES_MODE.toString(2).padStart(4, '0') + bytes.length.toString(2).padStart(lengthBits, '0')
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  bits = bits.padEnd(Math.min(bits.length + 4, capacity * 8), '0')
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0')
  const data = (bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))
  for (let index = 0; data.length < capacity; index++) data.push(PADS[index % 2] as number)
  return data
}

function interleaved(data: number[], version: number): number[] {
  const [checkSize, sizes] = BLOCKS[version - 1] as (typeof BLOCKS)[number]
  const starts = sizes.map((_, index) => sum(sizes.slice(0, index)))
  const blocks = sizes.map((size, index) => data.slice(starts[index], (starts[index] ?? 0) + size))
  const checks = blocks.map((block) => remainder(block, checkSize))
  return [...columns(blocks), ...columns(checks)]
}

function columns(blocks: number[][]): number[] {
  const longest = Math.max(...blocks.map(({ length }) => length))
  return Array.from({ length: longest }, (_, index) => blocks.flatMap((block) => block[index] ?? [])).flat()
}

function multiplied(a: number, b: number): number {
  let product = 0
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >> 7) * FIELD)
    if ((b >> bit) & 1) product ^= a
  }
  return product
}

/** Reed–Solomon: the remainder of the division by (x - 1)(x - 2)(x - 4)… */
function remainder(block: number[], degree: number): number[] {
  let divisor = [1]
  for (let power = 0, root = 1; power < degree; power++, root = multiplied(root, 2)) {
    const shifted = [...divisor, 0]
    divisor = shifted.map(
      (value, index) => value ^ (index > 0 ? multiplied(divisor[index - 1] ?? 0, root) : 0),
    )
  }
  const rest = [...block, ...Array<number>(degree).fill(0)]
  for (let index = 0; index < block.length; index++) {
    const factor = rest[index] as number
    divisor.forEach((value, at) => {
      rest[index + at] = (rest[index + at] as number) ^ multiplied(value, factor)
    })
  }
  return rest.slice(block.length)
}

function drawFunctions(grid: Grid, fixed: Grid, version: number): void {
  const size = grid.length
  const set = (x: number, y: number, dark: boolean) => {
    const [row, kept] = [grid[y], fixed[y]]
    if (!row || !kept || x < 0 || x >= size) return
    row[x] = dark
    kept[x] = true
  }
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0)
    set(at, 6, at % 2 === 0)
  }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]] as const) // biome-ignore format: a table
    square(4, (x, y, ring) => set(cx + x, cy + y, ring !== 2 && ring !== 4))
  const centers = ALIGNED[version - 1] ?? []
  const last = centers.at(-1)
  for (const cx of centers) {
    for (const cy of centers) {
      const corner = (cx === 6 && (cy === 6 || cy === last)) || (cx === last && cy === 6)
      if (!corner) square(2, (x, y, ring) => set(cx + x, cy + y, ring !== 1))
    }
  }
  drawFormat(0, set, size)
  if (version >= 7) drawVersion(version, set, size)
}

function square(radius: number, draw: (x: number, y: number, ring: number) => void): void {
  for (let y = -radius; y <= radius; y++)
    for (let x = -radius; x <= radius; x++) draw(x, y, Math.max(Math.abs(x), Math.abs(y)))
}

type Draw = (x: number, y: number, dark: boolean) => void

function checked(data: number, generator: number, degree: number): number {
  let rest = data << degree
  for (let bit = 31 - Math.clz32(rest); bit >= degree; bit = 31 - Math.clz32(rest))
    rest ^= generator << (bit - degree)
  return (data << degree) | rest
}

function drawFormat(mask: number, set: Draw, size: number): void {
  const bits = checked((LEVEL_M << 3) | mask, FORMAT_GENERATOR, 10) ^ FORMAT_MASK
  const bit = (index: number) => ((bits >> index) & 1) === 1
  for (let index = 0; index < 15; index++) {
    // Around the corner at the top left, past the timing patterns.
    if (index < 8) set(8, index < 6 ? index : index + 1, bit(index))
    else set(index === 8 ? 7 : 14 - index, 8, bit(index))
    // And in two parts at the other corners.
    if (index < 8) set(size - 1 - index, 8, bit(index))
    else set(8, size - 15 + index, bit(index))
  }
  set(8, size - 8, true)
}

function drawVersion(version: number, set: Draw, size: number): void {
  const bits = checked(version, VERSION_GENERATOR, 12)
  for (let index = 0; index < 18; index++) {
    const dark = ((bits >> index) & 1) === 1
    const [far, near] = [size - 11 + (index % 3), Math.floor(index / 3)]
    set(far, near, dark)
    set(near, far, dark)
  }
}

function drawData(grid: Grid, fixed: Grid, codewords: number[]): void {
  const size = grid.length
  let bit = 0
  let upward = true
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5
    for (let step = 0; step < size; step++) {
      const y = upward ? size - 1 - step : step
      for (const x of [right, right - 1]) {
        const row = grid[y] as boolean[]
        if (fixed[y]?.[x]) continue
        row[x] = (((codewords[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1
        bit++
      }
    }
    upward = !upward
  }
}

/** Under the mask that leaves the fewest patterns which confuse readers. */
function best(grid: Grid, fixed: Grid): Grid {
  const masked = MASKS.map((mask, number) => {
    const made = grid.map((row, y) => row.map((dark, x) => (fixed[y]?.[x] ? dark : dark !== mask(x, y))))
    drawFormat(
      number,
      (x, y, dark) => {
        ;(made[y] as boolean[])[x] = dark
      },
      grid.length,
    )
    return made
  })
  return masked.reduce((a, b) => (penalty(b) < penalty(a) ? b : a))
}

const FINDER = /(?=10111010000|00001011101)/g

function penalty(grid: Grid): number {
  const size = grid.length
  const rows = grid.map((row) => row.map(Number).join(''))
  const lines = [...rows, ...rows.map((_, x) => rows.map((row) => row[x]).join(''))]
  let points = 0
  for (const line of lines) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) points += run.length - 2
    points += 40 * (line.match(FINDER)?.length ?? 0)
  }
  for (let y = 1; y < size; y++) {
    for (let x = 1; x < size; x++) {
      const same = new Set([grid[y]?.[x], grid[y - 1]?.[x], grid[y]?.[x - 1], grid[y - 1]?.[x - 1]])
      if (same.size === 1) points += 3
    }
  }
  const dark = rows.join('').split('1').length - 1
  return points + 10 * Math.floor(Math.abs((dark * 20) / size ** 2 - 10))
}
