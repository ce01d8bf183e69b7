// Express 5, Socket.io 4 and PostgreSQL: a bid is one transaction, its acceptance goes to the room and to the bidder.
// node server.js STORE DATABASE_URL prints its port. One process.
import { createServer } from 'node:http'
import express from 'express'
import { Server } from 'socket.io'
import { inOrder } from './stores/in_order.js'
import { openOneStatement, openTransactions } from './stores/pg.js'
import { openPrisma } from './stores/prisma.js'

const STORES = { prisma: openPrisma, pg: openTransactions, 'one-statement': openOneStatement }
const CONNECTIONS_MAX = 10

const [name, databaseUrl] = process.argv.slice(2)
const store = inOrder(STORES[name](databaseUrl, CONNECTIONS_MAX))
const app = express()
const http = createServer(app)
// The fast settings: no long polling, no compression.
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false })

async function bid({ auctionId, bidderId, amount }) {
  if (![auctionId, bidderId, amount].every(Number.isSafeInteger)) return { ok: false, reason: 'invalid_frame' }
  const answer = await store.place(auctionId, bidderId, amount)
  // Committed: now everybody may know.
  if (answer.ok) io.to(`auction:${auctionId}`).emit('bid', { auctionId, bidderId, amount, seq: answer.seq })
  return answer
}

async function answered(asked) {
  try {
    return await bid(asked)
  } catch (error) {
    console.error(error)
    return { ok: false, reason: 'unavailable' }
  }
}

io.on('connection', (socket) => {
  socket.on('join', async (auctionId, answer) => {
    socket.join(`auction:${auctionId}`)
    answer({ ok: true, current: Number(await store.current(auctionId)) })
  })
  socket.on('bid', async (asked, answer) => answer(await answered(asked)))
})
app.use(express.json())
app.post('/auctions/:id/bids', async (request, response) => {
  const answer = await answered({ ...request.body, auctionId: Number(request.params.id) })
  response.status(answer.ok ? 201 : 409).json(answer)
})
http.listen(0, '127.0.0.1', () => console.log(http.address().port))
process.on('SIGTERM', () => process.exit(0))
