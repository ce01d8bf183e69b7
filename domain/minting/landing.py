"""What to do next with a signed transaction, and with the jobs of one that failed: pure rules.

A transaction can land until the chain is above its last valid height. It is over when its outcome is final, or when the
final chain is above that height and does not have it. Until then the same bytes are sent again; only afterwards may
another transaction be signed for its jobs.
"""

from enum import Enum

import msgspec

# Jobs of one transaction; bisecting halves this.
BATCH_MAX = 64
# A job that failed alone this often is poisoned.
FAULTS_MAX = 2
# A job that was in so many transactions without an end is poisoned.
ATTEMPTS_MAX = 40
RETRY_FIRST_MS = 500
RETRY_LONGEST_MS = 30_000


class Seen(msgspec.Struct, frozen=True):
    """What the chain says of a transaction. ``error``: it is in a block and has failed; ``final``: for good."""

    slot: int
    error: str | None
    final: bool


class Step(Enum):
    """``WAIT`` looks again later, ``SEND`` sends the same bytes, ``SEARCH`` asks for the whole history.

    The others end a transaction: it has ``LANDED``, ``FAILED`` in a block, or can never land (``EXPIRED``).
    """

    WAIT = "wait"
    SEND = "send"
    SEARCH = "search"
    LANDED = "landed"
    FAILED = "failed"
    EXPIRED = "expired"


def next_step(seen: Seen | None, final_height: int, last_valid_height: int, *, searched: bool) -> Step:
    """The step after a look at the chain.

    ``final_height`` has to be read before the status is: a block up to it can't appear after that. ``searched``: the
    status was looked up in the whole history, not only among recent ones. Only a final outcome ends a transaction,
    since what is in a block before that can be rolled back.
    """
    if seen is not None and seen.final:
        return Step.LANDED if seen.error is None else Step.FAILED
    if final_height <= last_valid_height:
        return Step.SEND if seen is None else Step.WAIT
    if seen is not None:
        # It is in a block that is not final yet: the chain decides soon.
        return Step.WAIT
    return Step.EXPIRED if searched else Step.SEARCH


class Tried(msgspec.Struct, frozen=True):
    """How a job stands: in how many transactions it was, how often it failed alone, its largest batch."""

    attempts: int
    faults: int
    batch_max: int


class Retry(msgspec.Struct, frozen=True):
    """Queue the job again, after ``delay_ms``, in transactions of at most ``batch_max`` jobs."""

    faults: int
    batch_max: int
    delay_ms: int


class Poison(msgspec.Struct, frozen=True):
    """The job is not tried again until an operator says so."""

    reason: str


def after_failure(tried: Tried, together: int, error: str) -> Retry | Poison:
    """For each job of a transaction that failed: all of them, or none, were done. ``together``: its number of jobs.

    The jobs of a batch are tried in halves, so the one that fails ends up alone. Alone, it is tried once more, after a
    look at whether it is done already; then it is poisoned.
    """
    if together > 1:
        return Retry(tried.faults, (together + 1) // 2, 0)
    if tried.faults + 1 >= FAULTS_MAX:
        return Poison(error)
    return Retry(tried.faults + 1, 1, RETRY_FIRST_MS)


def after_expiry(tried: Tried) -> Retry | Poison:
    """For each job of a transaction that never landed: through no fault of the job, as far as anyone knows."""
    if tried.attempts >= ATTEMPTS_MAX:
        return Poison(f"{tried.attempts} transactions for it have expired")
    return Retry(tried.faults, tried.batch_max, retry_delay_ms(tried.attempts))


def retry_delay_ms(attempts: int) -> int:
    """The delay before the next attempt: none after the first ones, then twice as long each time."""
    if attempts <= 2:
        return 0
    return min(RETRY_LONGEST_MS, RETRY_FIRST_MS << min(attempts - 3, 10))
