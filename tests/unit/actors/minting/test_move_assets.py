"""A batch of moves asks database, chain and keys once each, and each job gets its own outcome."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.minting.kinds.kind import Finished, NotYet, Ready, Unfit
from actors.minting.kinds.move import KEY_MISSING_MS, WAITS_MS, MoveAssets
from chain.programs.tokens import ACCOUNT_BYTES
from chain.rpc.answers import Accounts, AccountState
from chain.signing import LocalSigner, Signer
from chain.standards.token_2022 import Token2022
from chain.wallets.custody import KeyFault, NoCustodialWallet
from persistence.chain.rows import ChainJob
from persistence.minting.moves import MOVE, Move

ANN, BOB, LOST, OUTSIDER = 1, 2, 3, 4
KEYS = {user: Keypair() for user in (ANN, BOB, LOST, OUTSIDER)}
WALLETS = {user: str(key.pubkey()) for user, key in KEYS.items()}
VAULT = LocalSigner(Keypair())
IN_VAULT, PAYER = str(VAULT.address), Keypair().pubkey()
SLOT, STANDARD = 50, Token2022()


class Asked:
    """Database, chain and wallets at once; ``calls`` has what was asked of them."""

    def __init__(self, *moves: Move, on_chain: Mapping[int, str] | None = None) -> None:
        self.moves = {move.job: move for move in moves}
        self.on_chain = on_chain or {}
        self.calls: list[str] = []
        self.recorded: list[tuple[int, str, int]] = []

    async def of(self, jobs: Sequence[int]) -> dict[int, Move]:
        self.calls.append("moves")
        return {job: self.moves[job] for job in jobs if job in self.moves}

    async def arrived(self, moves: Sequence[tuple[int, str, int]]) -> None:
        self.calls.append("arrived")
        self.recorded += moves

    async def accounts(self, addresses: Sequence[Pubkey], **_: Any) -> Accounts:
        self.calls.append("accounts")
        return Accounts(SLOT, [self._account(address) for address in addresses])

    async def custodial_addresses(self, users: Sequence[int]) -> dict[int, Pubkey]:
        self.calls.append("addresses")
        return {user: KEYS[user].pubkey() for user in users}

    async def signers(self, users: Sequence[int]) -> dict[int, Signer | KeyFault]:
        self.calls.append("signers")
        return {user: NoCustodialWallet("lost") if user == LOST else LocalSigner(KEYS[user]) for user in users}

    async def users_of(self, addresses: Sequence[str]) -> dict[str, int]:
        self.calls.append("users")
        return {WALLETS[user]: user for user in (ANN, BOB, LOST) if WALLETS[user] in addresses}

    def _account(self, address: Pubkey) -> AccountState | None:
        for job, holder in self.on_chain.items():
            mint, owner = Pubkey.from_string(self.moves[job].address), Pubkey.from_string(holder)
            if STANDARD.holding_address(mint, owner) == address:
                data = bytes(mint) + bytes(owner) + (1).to_bytes(8, "little")
                return AccountState(1, owner, data.ljust(ACCOUNT_BYTES, b"\0"))
        return None


def move(
    job: int, holder: str, owner: int, place: str = "free", moving_to: str | None = None, *, slot: int = 10,
    waits: bool = False,
) -> Move:  # fmt: skip
    return Move(
        job, 100 + job, "token-2022", str(Keypair().pubkey()), None, holder, slot, moving_to, owner, place, waits
    )


async def outcomes(asked: Asked, *jobs: int) -> list[tuple[object, ...]]:
    """Of each job: what, and who signs for which destination, or the slot, the reason, the delay."""
    parts: Any = asked
    kind = MoveAssets(parts, parts, parts, parts, VAULT)
    rows = [ChainJob(job, MOVE, str(job), b"", 0, 0, 64, None, uuid.uuid4()) for job in jobs]
    found: list[tuple[object, ...]] = []
    for one in await kind.prepare(rows, PAYER):
        match one:
            case Ready(_, _, [signer], (_, destination)):
                found.append(("ready", str(signer.address), destination))
            case Finished(_, slot):
                found.append(("finished", slot))
            case Unfit(_, reason):
                found.append(("unfit", reason))
            case NotYet(_, delay_ms):
                found.append(("not yet", delay_ms))
    return found


async def test_each_goes_to_where_it_belongs_signed_by_whoever_has_it():
    asked = Asked(
        move(1, WALLETS[ANN], ANN, "listed"), move(2, IN_VAULT, BOB), move(3, WALLETS[ANN], BOB),
        move(4, IN_VAULT, BOB, "listed"), move(5, WALLETS[BOB], BOB, "trade"), move(6, IN_VAULT, BOB, "withdrawn"),
        move(7, WALLETS[ANN], BOB, waits=True), move(8, WALLETS[LOST], BOB), move(9, WALLETS[OUTSIDER], BOB),
    )  # fmt: skip
    assert await outcomes(asked, *range(1, 11)) == [
        ("ready", WALLETS[ANN], IN_VAULT),
        ("ready", IN_VAULT, WALLETS[BOB]),
        ("ready", WALLETS[ANN], WALLETS[BOB]),
        ("finished", 10),
        ("finished", 10),
        ("finished", 10),
        ("not yet", WAITS_MS),
        ("not yet", KEY_MISSING_MS),
        ("unfit", f"the wallet {WALLETS[OUTSIDER]} is not in custody"),
        ("unfit", "this copy is not on the chain"),
    ]
    assert asked.calls == ["moves", "addresses", "users", "signers"]


async def test_what_an_earlier_transaction_has_brought_there_is_recorded_in_one_call():
    asked = Asked(
        move(1, WALLETS[ANN], ANN, "listed", IN_VAULT), move(2, WALLETS[ANN], BOB, moving_to=IN_VAULT),
        move(3, WALLETS[ANN], BOB, moving_to=IN_VAULT), move(4, WALLETS[ANN], BOB, moving_to=IN_VAULT, slot=SLOT),
        on_chain={1: IN_VAULT, 2: IN_VAULT, 4: IN_VAULT},
    )  # fmt: skip
    assert await outcomes(asked, 1, 2, 3, 4) == [
        ("finished", SLOT),
        ("ready", IN_VAULT, WALLETS[BOB]),
        ("ready", WALLETS[ANN], WALLETS[BOB]),
        # A node that lags behind says nothing new.
        ("ready", WALLETS[ANN], WALLETS[BOB]),
    ]
    assert asked.recorded == [(101, IN_VAULT, SLOT), (102, IN_VAULT, SLOT)]
    assert asked.calls == ["moves", "accounts", "arrived", "addresses", "users", "signers"]


async def test_a_batch_with_nothing_to_move_asks_for_no_keys():
    asked = Asked(move(1, IN_VAULT, BOB, "listed"))
    assert await outcomes(asked, 1) == [("finished", 10)]
    assert asked.calls == ["moves"]
