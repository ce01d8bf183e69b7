"""The channels ``mint:<id>``: the progress of one request to mint, for its requester alone."""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, cast

from domain.errors import FORBIDDEN, NOT_FOUND
from gateway.fanout.channels import Channel
from gateway.fanout.stored_channels import StoredChannels
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.minting.reading import Mint
from persistence.redis.announcements import MINTS_CHANNEL


class ReadsMints(Protocol):
    """``persistence.minting.reading.Mints``. May raise StoreError."""

    async def some(self, mints: Sequence[int]) -> dict[int, Mint]: ...


class MintChannel(Channel):
    """The channel of one request; its position is the number of its changes."""

    def __init__(self, name: str, mint: int) -> None:
        super().__init__(name, mint)
        self.mint = mint
        self.requester: int | None = None
        self._progress: dict[str, Any] = {}

    def load(self, mint: Mint) -> bool:
        """Take the newest state; False if it is known already."""
        if self.loaded and mint.seq <= self.seq:
            return False
        self.epoch, self.seq, self.at, self.requester = 1, mint.seq, mint.updated_at, mint.requester
        self._progress = {
            "status": mint.state, "total": mint.total, "done": mint.done, "poisoned": mint.poisoned,
        }  # fmt: skip
        return True

    def state(self) -> dict[str, Any]:
        """How far the request is."""
        return self._progress


class MintChannels(StoredChannels[MintChannel]):
    """The source of these channels."""

    prefix = "mint:"
    topics = (MINTS_CHANNEL,)
    poll_every_s = 5.0
    pause_s = 0.25

    def __init__(self, mints: ReadsMints) -> None:
        super().__init__()
        self._mints = mints

    async def read(self, channels: Sequence[MintChannel]) -> None:
        found = await self._mints.some([channel.mint for channel in channels])
        for channel in channels:
            if channel.mint in found and channel.load(found[channel.mint]):
                channel.broadcast(channel.newest)

    def open(self, name: str, key: Hashable) -> MintChannel:
        """A channel that is not loaded."""
        return MintChannel(name, cast(int, key))

    def authorise(self, channel: MintChannel, identity: Identity | None) -> None:
        """Once it is known whose request it is. Raises RequestFailed."""
        if channel.loaded and (identity is None or identity.user_id != channel.requester):
            raise RequestFailed(FORBIDDEN, "this is somebody else's request to mint")

    async def prepare(self, channel: MintChannel, since: Position | None) -> list[EventFrame]:
        """Load the channel; there are no events, a state has everything. Raises RequestFailed."""
        with self.reading("the request to mint"):
            found = (await self._mints.some([channel.mint])).get(channel.mint)
        if found is None:
            raise RequestFailed(NOT_FOUND, "there is no such request to mint")
        if channel.load(found):
            channel.broadcast(channel.newest)
        return []
