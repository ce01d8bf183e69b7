"""The rules of the second factor: time-based codes (RFC 6238), each good once, and a limit of attempts."""

import msgspec

STEP_MS = 30_000
# Clocks may differ by one step.
SKEW_STEPS = 1
ATTEMPTS_MAX = 5
LOCK_MS = 900_000
# How long a session that has shown its second factor need not do so again.
FRESH_MS = 300_000
RECOVERY_CODES = 10


class SecondFactor(msgspec.Struct, frozen=True):
    """A user's second factor. ``sealed`` is the encrypted secret; it counts once ``confirmed_at`` is set (ms)."""

    user: int
    key_id: str
    sealed: bytes
    confirmed_at: int | None
    last_step: int

    def __repr__(self) -> str:
        return f"SecondFactor(user={self.user}, confirmed_at={self.confirmed_at})"


class Locked(msgspec.Struct, frozen=True):
    """Too many wrong codes: no attempt counts before ``retry_after_ms``."""

    retry_after_ms: int


def acceptable_steps(now_ms: int, last_step: int) -> list[int]:
    """The time steps whose codes are accepted now: about the current one, and newer than the last accepted one."""
    step = now_ms // STEP_MS
    return [one for one in range(step - SKEW_STEPS, step + SKEW_STEPS + 1) if one > last_step]
