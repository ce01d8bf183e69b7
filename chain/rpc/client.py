"""The one client of Solana's JSON-RPC: several endpoints, deadlines, bounds, and typed errors.

Answers are read with types of our own, never with the parsers of a Solana library, whose faults would end the process.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from solders.hash import Hash
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain.rpc.addresses import endpoint_address
from chain.rpc.answers import (
    Accounts,
    AccountsAnswer,
    AccountState,
    AccountValue,
    BalanceAnswer,
    BlockhashAnswer,
    Commitment,
    EpochInfo,
    FeeValue,
    ProgramAccountsAnswer,
    RecentBlockhash,
    SignatureStatus,
    Simulation,
    SimulationAnswer,
    StatusesAnswer,
    StatusValue,
    TransactionFault,
)
from chain.rpc.endpoint import EndpointStatus
from chain.rpc.errors import AlreadyProcessed
from chain.rpc.failover import Endpoints, Pin
from chain.rpc.limits import RpcLimits

Answer = TypeVar("Answer")
Result = TypeVar("Result")

STATUSES_MAX = 256
ACCOUNTS_MAX = 100
FEE_ACCOUNTS_MAX = 128
SIZES_MAX = 10_000


class ChainRpc:
    """Calls go to the best endpoint, and to the next one if it fails. Every method may raise ChainError."""

    def __init__(
        self, urls: Sequence[str], limits: RpcLimits | None = None, genesis: str | None = None, pin: Pin | None = None
    ) -> None:
        """``genesis``: the hash of the chain's genesis, where it is known; or else ``pin`` decides.

        Raises InvalidEndpoint.
        """
        assert urls, "there is an endpoint"
        self._endpoints = Endpoints([endpoint_address(url) for url in urls], limits or RpcLimits(), genesis, pin)
        self._minimum_balances: dict[int, int] = {}

    async def start(self) -> None:
        """Open the connections."""
        await self._endpoints.start()

    async def stop(self) -> None:
        """Close all connections."""
        await self._endpoints.stop()

    def endpoints(self) -> list[EndpointStatus]:
        """How the endpoints stand."""
        return self._endpoints.statuses()

    async def probe(self) -> list[EndpointStatus]:
        """Ask all endpoints for their slots now, and how they stand then."""
        return await self._endpoints.probe()

    # Blocks

    async def latest_blockhash(self) -> RecentBlockhash:
        """The newest confirmed blockhash."""

        def read(answer: BlockhashAnswer) -> RecentBlockhash:
            self._endpoints.observed("confirmed", answer.context.slot)
            return RecentBlockhash(
                Hash.from_string(answer.value.blockhash), _natural(answer.value.lastValidBlockHeight)
            )

        return await self._read("getLatestBlockhash", [self._at("confirmed")], BlockhashAnswer, read)

    async def block_height(self, commitment: Commitment = "confirmed") -> int:
        """The height of the newest block of this commitment. A final height never goes back."""

        def read(answer: EpochInfo) -> int:
            height, slot = _natural(answer.blockHeight), answer.absoluteSlot
            self._endpoints.observed("processed", slot)
            return self._endpoints.seen.final_height(height, slot) if commitment == "finalized" else height

        return await self._read("getEpochInfo", [self._at(commitment)], EpochInfo, read)

    async def slot(self, commitment: Commitment = "confirmed") -> int:
        """The newest slot of this commitment. A final slot never goes back."""

        def read(slot: int) -> int:
            self._endpoints.observed(commitment, slot)
            return max(slot, self._endpoints.seen.final_slot) if commitment == "finalized" else slot

        return await self._read("getSlot", [self._at(commitment)], int, read)

    async def genesis_hash(self) -> str:
        """Which chain this is."""
        return await self.call("getGenesisHash", [], str)

    async def health(self) -> str:
        """``ok``; raises ChainUnavailable if all nodes are behind."""
        return await self.call("getHealth", [], str)

    # Transactions

    async def send(self, raw: bytes) -> None:
        """Hand over a transaction. Raises OutcomeUnknown, TransactionRejected, ChainUnavailable.

        The same bytes may go to several endpoints: they land once.
        """
        options = {"encoding": "base64", "skipPreflight": True, "maxRetries": 0}
        try:
            await self.call("sendTransaction", [_base64(raw), options], str)
        except AlreadyProcessed:
            return

    async def simulate(self, raw: bytes) -> Simulation:
        """What it would do now, with another blockhash in place of its own."""

        def read(answer: SimulationAnswer) -> Simulation:
            self._endpoints.observed("confirmed", answer.context.slot)
            value = answer.value
            return Simulation(_fault(value.err), _natural(value.unitsConsumed or 0), value.logs or [])

        options = {"encoding": "base64", "replaceRecentBlockhash": True, "sigVerify": False}
        return await self._read(
            "simulateTransaction", [_base64(raw), options | self._at("confirmed")], SimulationAnswer, read
        )

    async def statuses(
        self, signatures: Sequence[Signature], *, search_history: bool = False
    ) -> list[SignatureStatus | None]:
        """What is known of these transactions, in their order, by an endpoint that has every block known to be final.

        So None means, after a final height, that the transaction is in no block up to there.
        """
        found: list[SignatureStatus | None] = []
        for first in range(0, len(signatures), STATUSES_MAX):
            page = [str(one) for one in signatures[first : first + STATUSES_MAX]]
            least = self._endpoints.seen.settled_slot

            def read(
                answer: StatusesAnswer, asked: int = len(page), least: int = least
            ) -> list[SignatureStatus | None]:
                self._endpoints.observed("processed", answer.context.slot, least)
                _same_number(asked, len(answer.value))
                return [None if one is None else _status(one) for one in answer.value]

            options = {"searchTransactionHistory": search_history}
            found += await self._read("getSignatureStatuses", [page, options], StatusesAnswer, read)
        return found

    async def priority_fee(self, writable: Sequence[Pubkey]) -> int:
        """The median of recent prices of a compute unit (micro-lamports) for those who write these accounts."""
        accounts = [str(one) for one in writable[:FEE_ACCOUNTS_MAX]]

        def read(answer: list[FeeValue]) -> int:
            fees = sorted(_natural(one.prioritizationFee) for one in answer)
            return fees[len(fees) // 2] if fees else 0

        return await self._read("getRecentPrioritizationFees", [accounts], list[FeeValue], read)

    async def request_airdrop(self, address: Pubkey, lamports: int) -> str:
        """SOL from a faucet, where the chain has one: the signature."""
        return await self.call("requestAirdrop", [str(address), lamports], str)

    # Accounts

    async def accounts(
        self, addresses: Sequence[Pubkey], *, commitment: Commitment = "confirmed",
        data_slice: tuple[int, int] | None = None,
    ) -> Accounts:  # fmt: skip
        """These accounts; of their data only (offset, length) with ``data_slice``. The slot is that of the oldest."""
        slots: list[int] = []
        found: list[AccountState | None] = []
        for first in range(0, len(addresses), ACCOUNTS_MAX):
            page = [str(one) for one in addresses[first : first + ACCOUNTS_MAX]]

            def read(answer: AccountsAnswer, asked: int = len(page)) -> Accounts:
                self._endpoints.observed(commitment, answer.context.slot)
                _same_number(asked, len(answer.value))
                return Accounts(
                    answer.context.slot, [None if one is None else _account(one, data_slice) for one in answer.value]
                )

            options = self._options(commitment, data_slice)
            part = await self._read("getMultipleAccounts", [page, options], AccountsAnswer, read)
            slots.append(part.slot)
            found += part.accounts
        return Accounts(min(slots, default=0), found)

    async def program_accounts(
        self, program: Pubkey, filters: Sequence[dict[str, Any]], data_slice: tuple[int, int] | None = None,
        commitment: Commitment = "confirmed",
    ) -> list[tuple[Pubkey, AccountState]]:  # fmt: skip
        """The accounts of a program that pass the filters of getProgramAccounts."""
        options = self._options(commitment, data_slice) | {"filters": list(filters), "withContext": True}
        return await self._owned("getProgramAccounts", [str(program), options], commitment, data_slice)

    async def token_accounts(
        self, owner: Pubkey, program: Pubkey, commitment: Commitment = "confirmed"
    ) -> list[tuple[Pubkey, AccountState]]:
        """The token accounts of this wallet with this token program."""
        params = [str(owner), {"programId": str(program)}, self._options(commitment, None)]
        return await self._owned("getTokenAccountsByOwner", params, commitment, None)

    async def _owned(
        self, method: str, params: list[Any], commitment: Commitment, data_slice: tuple[int, int] | None
    ) -> list[tuple[Pubkey, AccountState]]:
        def read(answer: ProgramAccountsAnswer) -> list[tuple[Pubkey, AccountState]]:
            self._endpoints.observed(commitment, answer.context.slot)
            return [(Pubkey.from_string(one.pubkey), _account(one.account, data_slice)) for one in answer.value]

        return await self._read(method, params, ProgramAccountsAnswer, read)

    async def balance(self, address: Pubkey, commitment: Commitment = "confirmed") -> int:
        """Lamports."""

        def read(answer: BalanceAnswer) -> int:
            self._endpoints.observed(commitment, answer.context.slot)
            return _natural(answer.value)

        return await self._read("getBalance", [str(address), self._at(commitment)], BalanceAnswer, read)

    async def minimum_balance(self, size: int) -> int:
        """Lamports that an account with so many bytes needs. Asked for once."""
        if size not in self._minimum_balances:
            if len(self._minimum_balances) >= SIZES_MAX:
                self._minimum_balances.clear()
            found = await self._read("getMinimumBalanceForRentExemption", [size], int, _natural)
            self._minimum_balances[size] = found
        return self._minimum_balances[size]

    # Calls

    async def call(self, method: str, params: list[Any], kind: type[Answer]) -> Answer:
        """Any method of JSON-RPC; the result has to be of this type."""
        return await self._read(method, params, kind, lambda answer: answer)

    async def _read(
        self, method: str, params: list[Any], kind: type[Answer], read: Callable[[Answer], Result]
    ) -> Result:
        return await self._endpoints.call(method, params, kind, read)

    def _at(self, commitment: Commitment) -> dict[str, Any]:
        """No node may answer as of an older slot than the one that is known to be final."""
        least = self._endpoints.seen.final_slot
        return {"commitment": commitment} | ({"minContextSlot": least} if least else {})

    def _options(self, commitment: Commitment, data_slice: tuple[int, int] | None) -> dict[str, Any]:
        options = self._at(commitment) | {"encoding": "base64"}
        if data_slice is not None:
            options["dataSlice"] = {"offset": data_slice[0], "length": data_slice[1]}
        return options


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _natural(number: int) -> int:
    if not 0 <= number < 2**64:
        raise ValueError(f"{number} is out of range")
    return number


def _same_number(asked: int, answered: int) -> None:
    if asked != answered:
        raise ValueError(f"{answered} values for {asked}")


def _fault(error: Any) -> TransactionFault | None:
    return None if error is None else TransactionFault(error)


def _status(value: StatusValue) -> SignatureStatus:
    return SignatureStatus(_natural(value.slot), _fault(value.err), value.confirmationStatus or "processed")


def _account(value: AccountValue, data_slice: tuple[int, int] | None) -> AccountState:
    if value.data[1] != "base64":
        raise ValueError("data in another encoding than asked for")
    try:
        data = base64.b64decode(value.data[0], validate=True)
    except binascii.Error:
        raise ValueError("data that are not base64") from None
    if data_slice is not None and len(data) > data_slice[1]:
        raise ValueError("more data than asked for")
    return AccountState(_natural(value.lamports), Pubkey.from_string(value.owner), data)
