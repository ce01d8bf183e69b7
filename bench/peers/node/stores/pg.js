// node-postgres: the same transaction as Prisma's with prepared statements, and one conditional statement.
import pg from 'pg'
import { accepted, refused, whyNot } from './answers.js'

const LOCK = 'SELECT current, ends_at FROM auction WHERE id = $1 FOR UPDATE'
const WRITE = `WITH written AS (INSERT INTO bid (auction_id, bidder_id, amount) VALUES ($1, $2, $3))
  UPDATE auction SET current = $3, leader_id = $2, bid_count = bid_count + 1 WHERE id = $1 RETURNING bid_count`
const READ = 'SELECT current, ends_at FROM auction WHERE id = $1'
const ONE_STATEMENT = `WITH raised AS (
    UPDATE auction SET current = $3, leader_id = $2, bid_count = bid_count + 1
    WHERE id = $1 AND current < $3 AND ends_at > now() RETURNING bid_count),
  written AS (INSERT INTO bid (auction_id, bidder_id, amount) SELECT $1, $2, $3 FROM raised)
  SELECT bid_count FROM raised`

// BEGIN, FOR UPDATE, insert and update in one statement, COMMIT.
export function openTransactions(connectionString, max) {
  const pool = new pg.Pool({ connectionString, max })

  async function place(auctionId, bidderId, amount) {
    const connection = await pool.connect()
    try {
      await connection.query('BEGIN')
      const locked = await connection.query({ name: 'lock', text: LOCK, values: [auctionId] })
      const reason = whyNot(locked.rows[0], amount)
      if (reason) {
        await connection.query('ROLLBACK')
        return refused(reason, locked.rows[0])
      }
      const written = await connection.query({
        name: 'write',
        text: WRITE,
        values: [auctionId, bidderId, amount],
      })
      await connection.query('COMMIT')
      return accepted(amount, written.rows[0].bid_count)
    } catch (error) {
      await connection.query('ROLLBACK').catch(() => {})
      throw error
    } finally {
      connection.release()
    }
  }

  return { place, current: currentIn(pool) }
}

// One round trip and one commit for a bid: the strongest form on one PostgreSQL that does not batch.
export function openOneStatement(connectionString, max) {
  const pool = new pg.Pool({ connectionString, max })

  async function place(auctionId, bidderId, amount) {
    const values = [auctionId, bidderId, amount]
    const { rows } = await pool.query({ name: 'bid', text: ONE_STATEMENT, values })
    if (rows.length) return accepted(amount, rows[0].bid_count)
    const auction = await read(pool, auctionId)
    // Not too low any more: it was when the statement ran.
    return refused(whyNot(auction, amount) ?? 'bid_too_low', auction)
  }

  return { place, current: currentIn(pool) }
}

const read = async (pool, id) => (await pool.query({ name: 'read', text: READ, values: [id] })).rows[0]
const currentIn = (pool) => async (id) => (await read(pool, id))?.current
