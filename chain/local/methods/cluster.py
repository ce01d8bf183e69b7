"""Methods about the cluster, its slots and blocks."""

import time
from typing import Any

from solders.hash import Hash

from chain.local.errors import INVALID_PARAMS, SLOT_SKIPPED, RpcError
from chain.local.methods.configs import API_VERSION, BlockConfig, Config, slot_of
from chain.local.methods.encoding import transaction_json
from chain.local.methods.registry import rpc
from chain.local.node import Node, behind
from chain.local.slots import SLOTS_PER_EPOCH

FEATURE_SET = 0
BLOCKS_MAX = 500_000
SAMPLES_MAX = 720
# There is one node, and this is its address.
IDENTITY = "Loca1Node1111111111111111111111111111111111"


class ClusterMethods:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._blocks = node.blocks

    @rpc("getHealth")
    def get_health(self) -> object:
        if self._node.faults.unhealthy:
            raise behind()
        return "ok"

    @rpc("getVersion")
    def get_version(self) -> object:
        return {"solana-core": API_VERSION, "feature-set": FEATURE_SET}

    @rpc("getIdentity")
    def get_identity(self) -> object:
        return {"identity": IDENTITY}

    @rpc("getGenesisHash")
    def get_genesis_hash(self) -> object:
        return str(Hash(self._blocks.genesis))

    @rpc("getSlot")
    def get_slot(self, config: Config | None = None) -> object:
        return slot_of(self._blocks, config)

    @rpc("getBlockHeight")
    def get_block_height(self, config: Config | None = None) -> object:
        slot_of(self._blocks, config)
        return self._blocks.height_at("finalized" if config is None else config.commitment)

    @rpc("getSlotLeader")
    def get_slot_leader(self, config: Config | None = None) -> object:
        return IDENTITY

    @rpc("getEpochInfo")
    def get_epoch_info(self, config: Config | None = None) -> object:
        slot = slot_of(self._blocks, config)
        return {
            "absoluteSlot": slot,
            "blockHeight": self._blocks.height_at("finalized" if config is None else config.commitment),
            "epoch": slot // SLOTS_PER_EPOCH,
            "slotIndex": slot % SLOTS_PER_EPOCH,
            "slotsInEpoch": SLOTS_PER_EPOCH,
            "transactionCount": self._node.bank.transaction_count,
        }

    @rpc("getEpochSchedule")
    def get_epoch_schedule(self) -> object:
        return {
            "slotsPerEpoch": SLOTS_PER_EPOCH,
            "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
            "warmup": False,
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
        }

    @rpc("getFirstAvailableBlock")
    def get_first_available_block(self) -> object:
        return 0

    @rpc("minimumLedgerSlot")
    def minimum_ledger_slot(self) -> object:
        return 0

    @rpc("getBlock")
    def get_block(self, slot: int, config: BlockConfig | None = None) -> object:
        read = config or BlockConfig()
        found = self._block(slot, read)
        if found is None:
            raise RpcError(SLOT_SKIPPED, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")
        height, time_s = found
        return {
            "blockHeight": height,
            "blockTime": time_s,
            "blockhash": str(self._blocks.hash_at(height)),
            "previousBlockhash": str(self._blocks.hash_at(max(0, height - 1))),
            "parentSlot": slot - 1,
            **self._contents(slot, read),
            **({"rewards": []} if read.rewards else {}),
        }

    @rpc("getBlockTime")
    def get_block_time(self, slot: int) -> object:
        found = self._block(slot, BlockConfig(commitment="confirmed"))
        return None if found is None else found[1]

    @rpc("getBlocks")
    def get_blocks(self, first: int, last: int | Config | None = None, config: Config | None = None) -> object:
        read = last if isinstance(last, Config) else config
        newest = slot_of(self._blocks, read)
        end = min(last if isinstance(last, int) else newest, newest)
        if first < 0 or end - first > BLOCKS_MAX:
            raise RpcError(INVALID_PARAMS, f"Slot range too large; max {BLOCKS_MAX}")
        produced = range(max(first, self._blocks.first_slot), end + 1)
        return [*self._node.reader.block_slots(first, min(end, self._blocks.first_slot - 1)), *produced]

    @rpc("getBlocksWithLimit")
    def get_blocks_with_limit(self, first: int, limit: int, config: Config | None = None) -> object:
        if not 0 <= limit <= BLOCKS_MAX:
            raise RpcError(INVALID_PARAMS, f"Limit too large; max {BLOCKS_MAX}")
        return list(self.get_blocks(first, first + limit - 1, config))[:limit]  # type: ignore[call-overload]

    def _block(self, slot: int, config: Config) -> tuple[int, int] | None:
        """Height and time: of all blocks since this node has started, and before of those with transactions."""
        newest = slot_of(self._blocks, config)
        stored = self._node.reader.block(slot) if 0 <= slot <= newest else None
        height = self._blocks.height_of(slot)
        if stored is not None or height is None or slot > newest:
            return stored
        behind_s = (self._blocks.slot - slot) * self._node.slot_ms // 1000
        return height, int(time.time()) - behind_s

    def _contents(self, slot: int, read: BlockConfig) -> dict[str, Any]:
        if read.transaction_details == "none":
            return {}
        stored = self._node.reader.of_slot(slot)
        if read.transaction_details == "signatures":
            return {"signatures": [str(one.signature) for one in stored]}
        version = read.max_supported_transaction_version
        return {"transactions": [transaction_json(one, read.encoding, version) for one in stored]}
