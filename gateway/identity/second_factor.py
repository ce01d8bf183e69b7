"""The second factor of users: time-based codes (RFC 6238) and recovery codes."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest

import pyotp

from chain.wallets.cipher import KeyCipher
from domain.errors import (
    SECOND_FACTOR_INVALID,
    SECOND_FACTOR_OFF,
    SECOND_FACTOR_ON,
    SECOND_FACTOR_REQUIRED,
)
from domain.wallets.second_factor import (
    ATTEMPTS_MAX,
    LOCK_MS,
    RECOVERY_CODES,
    STEP_MS,
    Locked,
    SecondFactor,
    acceptable_steps,
)
from gateway.identity.attempts import TooManyAttempts
from gateway.identity.tokens import Identity
from persistence.wallets.second_factors import Sealing, SecondFactors

ISSUER = "ECE"
RECOVERY_BYTES = 15
# Older than any.
NO_STEP = -1
_CONTEXT = b"ece-second-factor-v1\0"


class SecondFactorError(Exception):
    """A code is missing, wrong or used, or there is no second factor to check it with."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, repr=False)
class Enrolment:
    """A new secret, in base32, and the URI that authenticator apps read from a QR code. Shown once."""

    secret: str
    uri: str


@dataclass(frozen=True)
class FactorState:
    """``state`` is off, pending (begun, not confirmed) or on."""

    state: str
    recovery_codes_left: int


class SecondFactorCheck:
    """Enrols users and checks their codes. Every method may raise StoreUnavailable."""

    def __init__(self, store: SecondFactors, cipher: KeyCipher) -> None:
        self._store = store
        self._cipher = cipher

    async def state(self, user: int) -> FactorState:
        """Whether a user has a second factor."""
        factor = await self._store.get(user)
        if factor is None:
            return FactorState("off", 0)
        if factor.confirmed_at is None:
            return FactorState("pending", 0)
        return FactorState("on", await self._store.codes_left(user))

    async def begin(self, user: int, name: str, now_ms: int) -> Enrolment:
        """A new secret for a user, in place of one that was not confirmed. Raises SecondFactorError."""
        secret = pyotp.random_base32()
        sealed = self._cipher.seal(secret.encode(), factor_context(user))
        if not await self._store.begin(Sealing(user, sealed.key_id, sealed.sealed), now_ms):
            raise SecondFactorError(SECOND_FACTOR_ON, "you have a second factor: disable it first")
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))

    async def confirm(self, user: int, code: str, now_ms: int) -> list[str]:
        """The first code: from now on codes are required. Returns the recovery codes. Raises as ``disable`` does."""
        factor = await self._attempted(user, now_ms)
        if factor is None:
            raise SecondFactorError(SECOND_FACTOR_OFF, "begin to enrol first")
        if factor.confirmed_at is not None:
            raise SecondFactorError(SECOND_FACTOR_ON, "your second factor is confirmed already")
        step = self._step_of(factor, code, acceptable_steps(now_ms, factor.last_step))
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        hashes = [_code_hash(user, one) for one in codes]
        if step is None or not await self._store.confirm(user, step, hashes, now_ms):
            raise _invalid()
        return codes

    async def check_fresh(self, caller: Identity, code: str | None, now_ms: int) -> bool:
        """The session has shown its second factor within five minutes, or does so with this code.

        True for API keys: their owner showed one to make them. False for users without a second factor.
        Raises SecondFactorError, TooManyAttempts.
        """
        user = caller.user_id
        if caller.key is not None:
            return True
        factor = await self._store.get(user)
        if factor is None or factor.confirmed_at is None:
            return False
        if not await self._store.is_fresh(caller.session, user, now_ms):
            if code is None:
                raise SecondFactorError(SECOND_FACTOR_REQUIRED, "this needs a code of your second factor")
            await self.prove(caller, code, now_ms)
        return True

    async def check(self, user: int, code: str | None, now_ms: int) -> bool:
        """A code of a user who logs in, or adds a way to; False for users without a second factor.

        Raises SecondFactorError, TooManyAttempts.
        """
        factor = await self._store.get(user)
        if factor is None or factor.confirmed_at is None:
            return False
        if code is None:
            raise SecondFactorError(SECOND_FACTOR_REQUIRED, "this needs a code of your second factor")
        await self._accept(user, code, now_ms)
        return True

    async def proved(self, session: str, user: int, now_ms: int) -> None:
        """The session has begun with a code: it need not show another one for five minutes."""
        await self._store.prove(session, user, now_ms)

    async def prove(self, caller: Identity, code: str, now_ms: int) -> None:
        """Show the second factor: the session need not do so again for five minutes. Raises as ``disable`` does."""
        factor = await self._store.get(caller.user_id)
        if factor is None or factor.confirmed_at is None:
            raise SecondFactorError(SECOND_FACTOR_OFF, "you have no second factor")
        await self._accept(caller.user_id, code, now_ms)
        await self._store.prove(caller.session, caller.user_id, now_ms)

    async def disable(self, user: int, code: str, now_ms: int) -> None:
        """Remove the second factor. Raises SecondFactorError, TooManyAttempts."""
        factor = await self._store.get(user)
        if factor is None or factor.confirmed_at is None:
            raise SecondFactorError(SECOND_FACTOR_OFF, "you have no second factor")
        await self._accept(user, code, now_ms)
        await self._store.remove(user)

    async def _accept(self, user: int, code: str, now_ms: int) -> None:
        factor = await self._attempted(user, now_ms)
        if factor is None:
            raise SecondFactorError(SECOND_FACTOR_OFF, "you have no second factor")
        step = self._step_of(factor, code, acceptable_steps(now_ms, NO_STEP))
        # One of an older step than the last accepted one is refused as well.
        if step is not None and await self._store.accept(user, step, now_ms):
            return
        if await self._store.use_recovery_code(user, _code_hash(user, code)):
            return
        if step is not None:
            await self._store.code_used_again(user)
        raise _invalid()

    async def _attempted(self, user: int, now_ms: int) -> SecondFactor | None:
        counted = await self._store.attempt(user, now_ms)
        if isinstance(counted, Locked):
            raise TooManyAttempts(counted.retry_after_ms, ATTEMPTS_MAX, LOCK_MS // 1000)
        return counted

    def _step_of(self, factor: SecondFactor, code: str, steps: Sequence[int]) -> int | None:
        """The last one of these time steps that the code is of."""
        secret = self._cipher.open(factor.key_id, factor.sealed, factor_context(factor.user)).decode()
        totp = pyotp.TOTP(secret)
        given = code.strip().encode()
        found = None
        for step in steps:
            if compare_digest(totp.at(step * STEP_MS // 1000).encode(), given):
                found = step
        return found


def _invalid() -> SecondFactorError:
    return SecondFactorError(SECOND_FACTOR_INVALID, "the code is wrong, expired or used: wait for the next one")


def factor_context(user: int) -> bytes:
    """Whose secret it is: it decrypts with the same only."""
    return _CONTEXT + user.to_bytes(8, "big")


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _code_hash(user: int, code: str) -> bytes:
    """Codes have 120 random bits, older ones 80: a plain hash hides them well enough.

    Case, spaces and dashes do not matter.
    """
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(factor_context(user) + plain.encode()).digest()
