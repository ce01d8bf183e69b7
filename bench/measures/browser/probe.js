// Runs in the page before its own scripts, and measures there. Not part of the client.
;(() => {
  const probe = { interactiveMs: null, updates: 0, longTasksMs: [] }
  window.eceProbe = probe

  const Native = window.WebSocket
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given)
      this.addEventListener('message', () => probe.updates++)
    }
  }

  // The state is shown, a bid can be sent, and the browser has drawn both.
  const watcher = new MutationObserver(() => {
    const bid = document.querySelector('.bid-form button[type=submit]')
    if (!bid || bid.disabled || !document.querySelector('.price-panel .price')?.textContent) return
    watcher.disconnect()
    requestAnimationFrame(() =>
      setTimeout(() => {
        probe.interactiveMs = performance.now()
      }),
    )
  })
  watcher.observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['disabled'] })

  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) probe.longTasksMs.push(duration)
  }).observe({ type: 'longtask' })

  // The times between frames, and what happened meanwhile.
  probe.frames = (seconds) =>
    new Promise((resolve) => {
      const gapsMs = []
      const before = { updates: probe.updates, tasks: probe.longTasksMs.length }
      let first
      let last
      const frame = (at) => {
        if (last !== undefined) gapsMs.push(at - last)
        first ??= at
        last = at
        if (at - first < seconds * 1000) return requestAnimationFrame(frame)
        resolve({
          gapsMs,
          seconds: (last - first) / 1000,
          updates: probe.updates - before.updates,
          longTasksMs: probe.longTasksMs.slice(before.tasks),
        })
      }
      requestAnimationFrame(frame)
    })
})()
