"""Users who watch auctions, and users who look around."""

from urllib.parse import quote

from bench.locust.prepare import NAMES, RARITIES
from bench.locust.users.person import Person, SocketPerson

FOLLOWED_MAX = 3
CHANGES = 0.05
# A watcher does little by itself.
LOOKS_S = (2.0, 6.0)


class Watcher(SocketPerson):
    """Follows some auctions and receives what happens there. Now and then it leaves one for another, or pings."""

    scheduled = False

    def own_due_s(self, now_s: float) -> float:
        if not self.line.followed:
            return now_s
        return now_s + self.load.chance.uniform(*LOOKS_S)

    def operate(self, due_s: float) -> None:
        lots = self.load.book.open_lots(self.load.clock.now_ms())
        followed = self.line.followed
        if len(followed) == FOLLOWED_MAX and self.load.chance.random() < CHANGES:
            self.line.unfollow(self.load.chance.choice(followed))
        others = [lot for lot in lots if lot not in followed]
        missing = FOLLOWED_MAX - len(self.line.followed)
        for lot in self.load.chance.sample(others, min(missing, len(others))):
            self.line.follow(lot)
        self.load.measures.measured("ack", "ping", due_s, lambda: self.line.live().ping())


class Browser(Person):
    """Searches the catalog, reads cards, auctions and profiles."""

    def prepare(self) -> None:
        self._identity = self.load.bidder()
        self._cards = list(self.load.plan.cards)
        self._visits = (
            (self._search, 30), (self._facets, 10), (self._card, 25), (self._auctions, 20), (self._auction, 10),
            (self._profile, 5),
        )  # fmt: skip

    def operate(self, due_s: float) -> None:
        visits, weights = zip(*self._visits, strict=True)
        [visit] = self.load.chance.choices(visits, weights)
        visit(due_s)

    def _search(self, due_s: float) -> None:
        words = quote(self.load.chance.choice(NAMES)[: self.load.chance.randint(3, 9)])
        page = self.rest("search", due_s, "GET", f"/catalog/cards?q={words}&limit=20", self._identity.token)
        if page and page["items"] and len(self._cards) < 1_000:
            self._cards.append(page["items"][0]["id"])

    def _facets(self, due_s: float) -> None:
        rarity = self.load.chance.choice(RARITIES)
        self.rest("facets", due_s, "GET", f"/catalog/facets?rarity={rarity}", self._identity.token)

    def _card(self, due_s: float) -> None:
        if not self._cards:
            self._search(due_s)
            return
        card = self.load.chance.choice(self._cards)
        self.rest("card", due_s, "GET", f"/catalog/cards/{card}", self._identity.token)

    def _auctions(self, due_s: float) -> None:
        sort = self.load.chance.choice(("newest", "ending"))
        page = self.rest("auctions", due_s, "GET", f"/auctions?status=open&sort={sort}&limit=20", self._identity.token)
        for state in page["items"] if page else []:
            self.load.book.learn(state["id"], state["minimum"], state["ends_at"])

    def _auction(self, due_s: float) -> None:
        lots = self.load.book.open_lots(self.load.clock.now_ms())
        if not lots:
            self._auctions(due_s)
            return
        lot = self.load.chance.choice(lots)
        self.rest("auction", due_s, "GET", f"/auctions/{lot.id}", self._identity.token)

    def _profile(self, due_s: float) -> None:
        username = self.load.chance.choice(self.load.plan.bidders).username
        self.rest("profile", due_s, "GET", f"/users/{username}", self._identity.token)
