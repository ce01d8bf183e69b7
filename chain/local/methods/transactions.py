"""Methods that send transactions and look for them."""

import base64
import binascii
from typing import Any

from solders.hash import Hash
from solders.message import from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import SanitizeError

from chain.local.errors import INVALID_PARAMS, RpcError
from chain.local.ledger.landed import Status, status_json
from chain.local.ledger.received import received, verify
from chain.local.ledger.simulation import simulation_json
from chain.local.methods.configs import (
    Config,
    HistoryConfig,
    SendConfig,
    SimulateConfig,
    StatusConfig,
    TransactionConfig,
    TransactionEncoding,
    require_slot,
    slot_of,
    with_context,
)
from chain.local.methods.encoding import account_json, transaction_json
from chain.local.methods.registry import rpc
from chain.local.node import Node

STATUSES_MAX = 256
HISTORY_MAX = 1000
MESSAGE_CHARACTERS_MAX = 8_192
FEE_ACCOUNTS_MAX = 128


class TransactionMethods:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._bank = node.bank

    @rpc("sendTransaction")
    async def send_transaction(self, text: str, config: SendConfig | None = None) -> object:
        send = config or SendConfig()
        transaction = received(text, send.encoding)
        require_slot(self._node.blocks.slot, send.min_context_slot)
        return str(await self._node.send(transaction, preflight=not send.skip_preflight))

    @rpc("simulateTransaction")
    def simulate_transaction(self, text: str, config: SimulateConfig | None = None) -> object:
        read = config or SimulateConfig()
        if read.sig_verify and read.replace_recent_blockhash:
            raise RpcError(INVALID_PARAMS, "sigVerify may not be used with replaceRecentBlockhash")
        transaction = received(text, read.encoding)
        blocks = self._node.blocks
        require_slot(blocks.slot, read.min_context_slot)
        if read.sig_verify:
            verify(transaction)
        simulated = self._bank.simulate(transaction, replace_blockhash=read.replace_recent_blockhash)
        answer = simulation_json(simulated)
        if read.replace_recent_blockhash:
            answer["replacementBlockhash"] = self._blockhash("processed")
        if read.accounts is not None:
            answer["accounts"] = [self._simulated(simulated.accounts, one, read) for one in read.accounts.addresses]
        return with_context(blocks.slot, answer)

    @rpc("requestAirdrop")
    def request_airdrop(self, address: Pubkey, lamports: int, config: Config | None = None) -> object:
        if not 0 < lamports < 2**63:
            raise RpcError(INVALID_PARAMS, "Invalid params: a number of lamports is expected")
        return str(self._node.airdrop(address, lamports))

    @rpc("getSignatureStatuses")
    def get_signature_statuses(self, signatures: list[Signature], config: StatusConfig | None = None) -> object:
        if len(signatures) > STATUSES_MAX:
            raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {STATUSES_MAX}")
        search = config is not None and config.search_transaction_history
        found = [self._node.status(signature, search_history=search) for signature in signatures]
        return with_context(
            self._node.blocks.slot, [None if status is None else self._status(status) for status in found]
        )

    @rpc("getSignaturesForAddress")
    def get_signatures_for_address(self, address: Pubkey, config: HistoryConfig | None = None) -> object:
        read = config or HistoryConfig()
        if not 1 <= read.limit <= HISTORY_MAX:
            raise RpcError(INVALID_PARAMS, f"Invalid limit; max {HISTORY_MAX}")
        slot = self._durable_slot(read)
        before, until = self._sequence(read.before), self._sequence(read.until)
        if read.before is not None and before is None:
            return []
        rows = self._node.reader.signatures_for(address, slot, before, until, read.limit)
        return [
            {
                "signature": str(signature),
                "slot": landed_in,
                "err": error,
                "memo": None,
                "blockTime": time_s,
                "confirmationStatus": self._node.blocks.commitment_of(landed_in),
            }
            for signature, landed_in, time_s, error in rows
        ]

    @rpc("getTransaction")
    def get_transaction(
        self, signature: Signature, config: TransactionConfig | TransactionEncoding | None = None
    ) -> object:
        read = TransactionConfig(encoding=config) if isinstance(config, str) else config or TransactionConfig()
        slot = self._durable_slot(read)
        stored = self._node.reader.transaction(signature)
        if stored is None or stored.slot > slot:
            return None
        written = transaction_json(stored, read.encoding, read.max_supported_transaction_version)
        return {"slot": stored.slot, "blockTime": stored.time_s, **written}

    @rpc("getFeeForMessage")
    def get_fee_for_message(self, text: str, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        try:
            if len(text) > MESSAGE_CHARACTERS_MAX:
                raise ValueError("the message is too large")
            message = from_bytes_versioned(base64.b64decode(text, validate=True))
            fee = self._bank.fee(message)
        except (ValueError, binascii.Error, SanitizeError) as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error
        known = self._node.blocks.is_recent(message.recent_blockhash)
        return with_context(slot, fee if known else None)

    @rpc("getRecentPrioritizationFees")
    def get_recent_prioritization_fees(self, accounts: list[Pubkey] | None = None) -> object:
        if accounts is not None and len(accounts) > FEE_ACCOUNTS_MAX:
            raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {FEE_ACCOUNTS_MAX}")
        recent = self._node.fees.recent(self._node.blocks.slot, accounts or [])
        return [{"slot": slot, "prioritizationFee": fee} for slot, fee in recent]

    @rpc("getTransactionCount")
    def get_transaction_count(self, config: Config | None = None) -> object:
        return self._bank.transaction_count

    @rpc("getLatestBlockhash")
    def get_latest_blockhash(self, config: Config | None = None) -> object:
        slot = slot_of(self._node.blocks, config)
        return with_context(slot, self._blockhash("finalized" if config is None else config.commitment))

    @rpc("isBlockhashValid")
    def is_blockhash_valid(self, blockhash: Hash, config: Config | None = None) -> object:
        return with_context(slot_of(self._node.blocks, config), self._node.blocks.is_recent(blockhash))

    def _blockhash(self, commitment: Any) -> dict[str, object]:
        blocks = self._node.blocks
        height = blocks.height_at(commitment)
        return {"blockhash": str(blocks.hash_at(height)), "lastValidBlockHeight": blocks.last_valid_height(height)}

    def _status(self, status: Status) -> dict[str, object]:
        blocks = self._node.blocks
        commitment = blocks.commitment_of(status.slot)
        return {
            "slot": status.slot,
            "confirmations": None if commitment == "finalized" else blocks.slot - status.slot,
            "err": status.error,
            "status": status_json(status.error),
            "confirmationStatus": commitment,
        }

    def _simulated(self, accounts: dict[Pubkey, Any], address: Pubkey, config: SimulateConfig) -> object:
        account = accounts.get(address) or self._bank.account(address)
        assert config.accounts is not None
        return None if account is None else account_json(self._bank, account, config.accounts.encoding)

    def _durable_slot(self, config: Config) -> int:
        """History is given from `confirmed` on."""
        if config.commitment == "processed":
            raise RpcError(INVALID_PARAMS, "Method does not support commitment below `confirmed`")
        return slot_of(self._node.blocks, config)

    def _sequence(self, text: str | None) -> int | None:
        if text is None:
            return None
        try:
            return self._node.reader.sequence(Signature.from_string(text))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error
