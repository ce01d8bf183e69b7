"""The table of load profiles: who takes part, how they arrive, what is set up, and the service level objective."""

from collections.abc import Mapping
from dataclasses import dataclass

# Answers of the rules to a bid that came too late or was overtaken: a part of every auction, and no error.
REFUSALS_BY_THE_RULES = frozenset({"bid_too_low", "already_leading", "auction_closed", "auction_not_open"})

STEADY, SNIPER, RAISER, BOT = "SteadyBidder", "Sniper", "ProxyRaiser", "Bot"
WATCHER, SELLER, BROWSER, TRADER, MINTER, REPLAYER = "Watcher", "Seller", "Browser", "Trader", "Minter", "Replayer"
# These need cards that an operator creates.
NEED_AN_OPERATOR = frozenset({TRADER, MINTER})


@dataclass(frozen=True)
class Slo:
    """The bounds within which a run passes, in milliseconds; None: not judged.

    `error_share`: of commands and REST requests that failed, other than by REFUSALS_BY_THE_RULES.
    """

    ack_p99_ms: float | None = None
    update_p99_ms: float | None = None
    close_p99_ms: float | None = None
    rest_p95_ms: float | None = None
    error_share: float = 0.001


@dataclass(frozen=True)
class Scene:
    """What is set up before the users come.

    `auctions` stay open for the whole run; `ending` more end together every `wave_s` seconds. Each seller and trader
    gets `copies` of cards.
    """

    auctions: int = 0
    ending: int = 0
    wave_s: float = 20.0
    cards: int = 0
    copies: int = 0


@dataclass(frozen=True)
class Profile:
    """`weights` by user class. Without `rate`, each user thinks for `think_s` (from, to) after each operation (closed
    loop). With it, operations of all users together start at this rate per second (open loop)."""

    name: str
    about: str
    users: int
    weights: Mapping[str, int]
    scene: Scene
    slo: Slo
    think_s: tuple[float, float] = (0.0, 0.0)
    rate: float | None = None


_ALL = (
    Profile(
        "smoke",
        "every kind of user, a few seconds: does everything work?",
        users=12,
        weights={
            STEADY: 2, SNIPER: 1, RAISER: 1, BOT: 1, WATCHER: 2, SELLER: 1, BROWSER: 2, TRADER: 1, MINTER: 1,
        },
        scene=Scene(auctions=3, ending=2, wave_s=3.0, cards=5, copies=5),
        slo=Slo(ack_p99_ms=2_000, update_p99_ms=3_000, close_p99_ms=3_000, rest_p95_ms=2_000, error_share=0.01),
        think_s=(0.1, 0.5),
    ),
    Profile(
        "evening",
        "a busy evening: many auctions, some of them ending, and everything else that users do",
        users=200,
        weights={
            STEADY: 6, SNIPER: 2, RAISER: 2, BOT: 1, WATCHER: 5, SELLER: 1, BROWSER: 5, TRADER: 2, MINTER: 1,
        },
        scene=Scene(auctions=100, ending=10, wave_s=15.0, cards=200, copies=20),
        slo=Slo(ack_p99_ms=250, update_p99_ms=500, close_p99_ms=1_000, rest_p95_ms=500),
        think_s=(0.5, 3.0),
    ),
    Profile(
        "hot",
        "one auction in which everybody bids as soon as the last bid is answered",
        users=50,
        weights={STEADY: 1},
        scene=Scene(auctions=1),
        slo=Slo(ack_p99_ms=100, update_p99_ms=250),
    ),
    Profile(
        "snipe",
        "many auctions that end at the same time, with most bids in the last seconds",
        users=120,
        weights={SNIPER: 8, STEADY: 1, BOT: 1, WATCHER: 2},
        scene=Scene(auctions=10, ending=50, wave_s=15.0),
        slo=Slo(ack_p99_ms=250, update_p99_ms=500, close_p99_ms=1_000),
        think_s=(0.5, 2.0),
    ),
    Profile(
        "watch",
        "many watchers of one auction with a fixed rate of bids",
        # Above 256 watchers the gateway conflates: fewer would make more frames.
        users=330,
        weights={STEADY: 1, WATCHER: 10},
        scene=Scene(auctions=1),
        slo=Slo(ack_p99_ms=100, update_p99_ms=250),
        rate=200.0,
    ),
    Profile(
        "market",
        "trades, catalog, listings and mints, without bids",
        users=60,
        weights={TRADER: 4, BROWSER: 5, SELLER: 2, MINTER: 1},
        scene=Scene(auctions=20, cards=500, copies=20),
        slo=Slo(ack_p99_ms=500, rest_p95_ms=500),
        think_s=(0.2, 1.0),
    ),
    Profile(
        "replay",
        "recorded auctions, each bid by the bidder who made it; every price is compared with the rules",
        users=32,
        weights={REPLAYER: 1},
        scene=Scene(),
        slo=Slo(ack_p99_ms=100, rest_p95_ms=500),
    ),
)  # fmt: skip

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}
