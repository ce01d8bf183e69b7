"""The second factor: enrolling, confirming, disabling."""

from typing import Literal

from pydantic import BaseModel

from gateway.rest.callers import Caller
from gateway.rest.identity.bodies import AnyPassword, Body, Code
from gateway.rest.proofs import Proof, ProofsDep
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep

router = api_router("identity")


class Enrol(Body):
    """The password again: a stolen access token alone can't enrol."""

    password: AnyPassword


class CodeBody(Body):
    """A code of the authenticator app, or a recovery code where one is accepted."""

    code: Code


class FactorItem(BaseModel):
    """``pending``: begun, not confirmed; no code is needed yet."""

    state: Literal["off", "pending", "on"]
    recovery_codes_left: int


class NewFactor(BaseModel):
    """Shown once. ``uri`` is the text of the QR code for authenticator apps."""

    secret: str
    uri: str


class RecoveryCodes(BaseModel):
    """Shown once. Each is good for one use in place of a code."""

    recovery_codes: list[str]


@router.get("/auth/second-factor", summary="Has one a second factor?")
async def state(services: ServicesDep, caller: Caller) -> FactorItem:
    """Log-ins and sensitive actions need a code while it is `on`: withdrawals, API keys, wallets, roles, trades."""
    found = await services.wallets.second_factor.state(caller.user_id)
    return FactorItem(state=found.state, recovery_codes_left=found.recovery_codes_left)  # type: ignore[arg-type]


@router.post("/auth/second-factor", status_code=201, summary="Begin to enrol a second factor")
async def enrol(services: ServicesDep, proofs: ProofsDep, caller: Caller, body: Enrol) -> NewFactor:
    """A new secret, in place of one that was not confirmed."""
    await proofs.password(caller, body.password)
    made = await services.wallets.second_factor.begin(caller.user_id, caller.name, services.now_ms())
    return NewFactor(secret=made.secret, uri=made.uri)


@router.post("/auth/second-factor/confirm", summary="Confirm it with its first code")
async def confirm(services: ServicesDep, caller: Caller, body: CodeBody) -> RecoveryCodes:
    """From now on log-ins and sensitive actions need a code. The answer has the recovery codes."""
    codes = await services.wallets.second_factor.confirm(caller.user_id, body.code, services.now_ms())
    return RecoveryCodes(recovery_codes=codes)


@router.post("/auth/second-factor/verify", status_code=204, summary="Prove who one is, for five minutes")
async def verify(services: ServicesDep, proofs: ProofsDep, caller: Caller, body: Proof) -> None:
    """This session need not do so again for sensitive actions: with a code, or without a second factor the password."""
    if body.code is None:
        await proofs.ask(caller, body)
    else:
        await services.wallets.second_factor.prove(caller, body.code, services.now_ms())


@router.post("/auth/second-factor/disable", status_code=204, summary="Disable it with a code")
async def disable(services: ServicesDep, caller: Caller, body: CodeBody) -> None:
    """With a code, or a recovery code."""
    await services.wallets.second_factor.disable(caller.user_id, body.code, services.now_ms())
