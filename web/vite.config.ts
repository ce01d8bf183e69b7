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

const SCREEN = /path: '([^']+)', load: \(\) => import\('\.\/([^']+)'\)/g

/**
 * Writes preloads.json: by the path of a screen (src/screens.ts) the scripts that it needs. The gateway names them with the
 * document, so that browsers ask for them at once, and not when the app has begun.
 */
function preloads(): Plugin {
  return {
    name: 'preloads',
    apply: 'build',
    generateBundle: {
      // Scripts that have nothing but styles are gone by then.
      order: 'post',
      handler(_, bundle) {
        const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
        const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]))
        const app = chunks.find(({ isEntry }) => isEntry)
        if (!app) throw new Error('no chunk begins the app: a top-level await takes that from it')
        const add = (name: string, found: Set<string>): Set<string> => {
          if (found.has(name)) return found
          found.add(name)
          for (const imported of byName.get(name)?.imports ?? []) add(imported, found)
          return found
        }
        const screens = readFileSync('src/screens.ts', 'utf8').matchAll(SCREEN)
        const files = Object.fromEntries(
          [...screens].map(([, path = '', module = '']) => {
            const chunk = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith(`/src/${module}.tsx`))
            if (!chunk) throw new Error(`${path} has no chunk`)
            // The largest first: browsers ask for a few at a time.
            return [path, [...add(chunk.fileName, add(app.fileName, new Set()))]]
          }),
        )
        this.emitFile({ type: 'asset', fileName: 'preloads.json', source: JSON.stringify(files) })
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
  plugins: [preloads(), serviceWorker(), precompress()],
  // Nothing inline: the content security policy of the gateway forbids it.
  build: {
    rolldownOptions: {
      checks: { pluginTimings: false },
      // What every page needs is one script, and so is what several screens need: in twenty of them, a few at a time, they
      // took rounds of requests.
      output: {
        codeSplitting: {
          groups: [
            { name: 'app', tags: ['$initial'] },
            { name: 'shared', test: /\/web\/src\//, minShareCount: 3 },
          ],
        },
      },
    },
    assetsInlineLimit: 0,
    // All styles are one file of 10 KB: it is there sooner than three.
    cssCodeSplit: false,
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
