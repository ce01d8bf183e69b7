// Prisma's interactive transaction with FOR UPDATE: how the overview's own stack places a bid.
import { PrismaPg } from '@prisma/adapter-pg'
import client from '@prisma/client'
import { accepted, refused, whyNot } from './answers.js'

export function openPrisma(connectionString, max) {
  const prisma = new client.PrismaClient({ adapter: new PrismaPg({ connectionString, max }) })

  const place = (auctionId, bidderId, amount) =>
    prisma.$transaction(
      async (tx) => {
        const [auction] =
          await tx.$queryRaw`SELECT current, ends_at FROM auction WHERE id = ${auctionId} FOR UPDATE`
        const reason = whyNot(auction, amount)
        if (reason) return refused(reason, auction)
        await tx.bid.create({ data: { auctionId, bidderId, amount: BigInt(amount) }, select: { id: true } })
        const { bidCount } = await tx.auction.update({
          where: { id: auctionId },
          select: { bidCount: true },
          data: { current: BigInt(amount), leaderId: bidderId, bidCount: { increment: 1 } },
        })
        return accepted(amount, bidCount)
      },
      { maxWait: 10_000, timeout: 10_000 },
    )

  const current = async (id) => (await prisma.auction.findUnique({ where: { id } }))?.current
  return { place, current }
}
