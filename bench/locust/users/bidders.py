"""Users who bid."""

from gevent.event import Event

from bench.locust.book import KnownLot
from bench.locust.prepare import STEP
from bench.locust.state import now_s
from bench.locust.users.person import SocketPerson

# Above the minimum, in steps: others may have bid meanwhile.
STEPS_MAX = 40
RAISE_STEPS_MAX = 200
# A sniper bids so long before the end, by the server's clock.
SNIPE_S = (0.1, 2.0)
SNIPE_WITHIN_MS = 600_000
# A bot needs so long to answer.
REACTION_S = (0.02, 0.1)
LOOKS_EVERY_S = 1.0
# A socket may have 200 subscriptions.
FOLLOWED_MAX = 50


class SteadyBidder(SocketPerson):
    """Bids a little more than the others in any open auction, and watches it until it has bid in FOLLOWED_MAX others.

    More than the users of this process have sent: bids that are on their way at the same time need not be refused.
    """

    def operate(self, due_s: float) -> None:
        lots = self.load.book.open_lots(self.load.clock.now_ms())
        if not lots:
            return
        lot = self.load.chance.choice(lots)
        self.line.follow(lot)
        if len(followed := self.line.followed) > FOLLOWED_MAX:
            self.line.unfollow(followed[0])
        amount = max(lot.minimum, lot.highest_sent + STEP) + STEP * self.load.chance.randrange(STEPS_MAX)
        lot.highest_sent = amount
        self.line.bid(lot, amount, due_s)


class OneLotBidder(SocketPerson):
    """Stays with one auction until it ends, and then chooses another one."""

    abstract = True

    def prepare(self) -> None:
        super().prepare()
        self._lot: KnownLot | None = None

    def lot(self) -> KnownLot | None:
        """The auction to bid in; None if none is open."""
        now_ms = self.load.clock.now_ms()
        if self._lot is None or not self._lot.open or self._lot.ends_at <= now_ms:
            lots = self.load.book.open_lots(now_ms)
            self._lot = self.load.chance.choice(lots) if lots else None
        return self._lot


class ProxyRaiser(OneLotBidder):
    """Bids far above the minimum in one auction, and raises that maximum while it leads."""

    def prepare(self) -> None:
        super().prepare()
        self._maximum = 0

    def operate(self, due_s: float) -> None:
        lot = self.lot()
        if lot is None:
            return
        self.line.follow(lot)
        leads = lot.leader == self.line.identity.username
        above = self._maximum if leads else lot.minimum
        self._maximum = above + STEP * self.load.chance.randint(1, RAISE_STEPS_MAX)
        self.line.bid(lot, self._maximum, due_s)


class Sniper(SocketPerson):
    """Chooses an auction that ends soon, and bids once in its last moments. The end of the auction says when, not the
    schedule."""

    scheduled = False

    def prepare(self) -> None:
        super().prepare()
        self._lot: KnownLot | None = None

    def own_due_s(self, now_s: float) -> float:
        now_ms = self.load.clock.now_ms()
        before_ms = self.load.chance.uniform(*SNIPE_S) * 1000
        lots = [lot for lot in self.load.book.ending(now_ms, SNIPE_WITHIN_MS) if lot.ends_at - now_ms > before_ms]
        if not lots:
            self._lot = None
            return now_s + LOOKS_EVERY_S
        soonest = min(lot.ends_at for lot in lots)
        self._lot = self.load.chance.choice([lot for lot in lots if lot.ends_at == soonest])
        self.line.follow(self._lot)
        return now_s + (self._lot.ends_at - before_ms - now_ms) / 1000

    def operate(self, due_s: float) -> None:
        if self._lot is not None:
            # It does not know how high the others will go in these moments.
            steps = self.load.chance.randint(STEPS_MAX, RAISE_STEPS_MAX)
            self.line.bid(self._lot, self._lot.minimum + STEP * steps, due_s)


class Bot(OneLotBidder):
    """Answers at once when it is outbid in its auction. The others say when it bids, not the schedule."""

    scheduled = False

    def prepare(self) -> None:
        super().prepare()
        self._outbid = Event()

    def on_update(self, lot: KnownLot) -> None:
        if lot is self._lot and lot.leader != self.line.identity.username:
            self._outbid.set()

    def own_due_s(self, now_s: float) -> float:
        return now_s + self.load.chance.uniform(*REACTION_S)

    def operate(self, due_s: float) -> None:
        before, lot = self._lot, self.lot()
        if lot is None:
            return
        if lot is not before:
            self.line.follow(lot)
            self._outbid.set()
        if self._outbid.wait(LOOKS_EVERY_S):
            self._outbid.clear()
            if lot.leader != self.line.identity.username:
                self.line.bid(lot, lot.minimum, now_s())
