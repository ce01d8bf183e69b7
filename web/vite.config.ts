import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build, defineConfig, type Plugin } from 'vite'

const COMPRESSED = /\.(?:js|css|html|svg|webmanifest)$/
const COMPRESSED_BYTES_MIN = 1_000
/** What is larger (the 3D viewer) is no part of what works offline. */
const OFFLINE_BYTES_MAX = 400_000
const OFFLINE = /^assets\/.*\.(?:js|css|woff2)$|^icon\.svg$/

const filesIn = (dir: string) => readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()

/**
 * Builds the service worker, a script of its own without imports, when the app is built: it has the names of the app's
 * files in it, so that another version of the app is another worker.
 */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    writeBundle: {
      sequential: true,
      async handler({ dir }) {
        if (dir === undefined) return
        const files = filesIn(dir).filter(
          (name) => OFFLINE.test(name) && statSync(join(dir, name)).size <= OFFLINE_BYTES_MAX,
        )
        const version = createHash('sha256').update(readFileSync(join(dir, 'index.html')))
        for (const name of files) version.update(name)
        await build({
          configFile: false,
          publicDir: false,
          logLevel: 'warn',
          define: {
            FILES: JSON.stringify(files.map((name) => `/${name}`)),
            VERSION: JSON.stringify(version.digest('hex').slice(0, 16)),
          },
          build: {
            outDir: dir,
            emptyOutDir: false,
            target: 'es2022',
            rolldownOptions: {
              checks: { pluginTimings: false },
              input: 'src/worker/service-worker.ts',
              output: { format: 'iife', entryFileNames: 'service-worker.js' },
            },
          },
        })
      },
    },
  }
}

/** Writes NAME.gz and NAME.br beside each text file: the gateway sends what the browser takes. */
function precompress(): Plugin {
  return {
    name: 'precompress',
    apply: 'build',
    writeBundle: {
      sequential: true,
      order: 'post',
      handler({ dir }) {
        if (dir === undefined) return
        for (const name of filesIn(dir)) {
          if (!COMPRESSED.test(name)) continue
          const file = join(dir, name)
          const content = readFileSync(file)
          if (content.length < COMPRESSED_BYTES_MIN) continue
          writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }))
          writeFileSync(`${file}.br`, brotliCompressSync(content))
        }
      },
    },
  }
}

export default defineConfig({
  plugins: [serviceWorker(), precompress()],
  // Nothing inline: the content security policy of the gateway forbids it.
  build: {
    rolldownOptions: { checks: { pluginTimings: false } },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    emptyOutDir: true,
  },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(
      ['/api', '/media', '/ws'].map((path) => [
        path,
        { target: process.env.ECE_URL ?? 'http://127.0.0.1:8000', ws: path === '/ws' },
      ]),
    ),
  },
})
