/**
 * Lighthouse on pages of a running engine, as a phone and as a desktop computer. It is no dependency, as it takes 176 MB:
 * in `web/`, `npm install --no-save lighthouse@13.5.0`, then `node tools/lighthouse.mjs http://127.0.0.1:8000 / /browse`.
 * Prints a row for each; the exit code is 1 where a category has less than the goal. `CHROME` names the browser, where
 * there is none at a usual place.
 */
import * as chromeLauncher from 'chrome-launcher'
import lighthouse, { desktopConfig } from 'lighthouse'

const GOAL = 95
const LOST_SHOWN_MAX = 8
const [base, ...given] = process.argv.slice(2)
if (!base) {
  console.error('usage: node tools/lighthouse.mjs URL [PATH…]')
  process.exit(2)
}

const chrome = await chromeLauncher.launch({
  ...(process.env.CHROME && { chromePath: process.env.CHROME }),
  chromeFlags: ['--headless', '--disable-gpu', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
})
let missed = false
try {
  for (const path of given.length > 0 ? given : ['/', '/browse', '/login'])
    for (const [device, config] of [
      ['phone', undefined],
      ['desktop', desktopConfig],
    ]) {
      const { lhr } = await lighthouse(base + path, { port: chrome.port, logLevel: 'error' }, config)
      const scores = Object.values(lhr.categories).map(({ id, score }) => [
        id,
        Math.round((score ?? 0) * 100),
      ])
      const times = [
        'first-contentful-paint',
        'largest-contentful-paint',
        'total-blocking-time',
        'cumulative-layout-shift',
      ]
      console.log(
        `${path} ${device}: ${scores.map(([id, score]) => `${id} ${score}`).join(', ')}`,
        `(${times.map((id) => lhr.audits[id]?.displayValue ?? '?').join(', ')})`,
      )
      if (scores.every(([, score]) => score >= GOAL)) continue
      missed = true
      const lost = Object.values(lhr.audits).filter(({ score }) => score !== null && score < 0.9)
      for (const { id, displayValue = '' } of lost.slice(0, LOST_SHOWN_MAX))
        console.log(`  ${id} ${displayValue}`)
    }
} finally {
  chrome.kill()
}
process.exitCode = missed ? 1 : 0
