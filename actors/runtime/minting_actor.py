"""A member of the minting pool in a thread with an event loop of its own."""

from collections.abc import Callable

import structlog

from actors.minting.pool import MintingConfig, MintingMember, minting_member
from actors.runtime.loop_thread import LoopActor
from persistence.chain.status import ActorReport

log = structlog.get_logger()


class MintingActor(LoopActor):
    """The class of the Ray actor; ``actors.runtime.cluster`` wraps it.

    When it is stopped, what it has sent is followed by others, or later.
    """

    def __init__(self, config: MintingConfig, set_up: Callable[[str], None]) -> None:
        self._config = config
        self._member: MintingMember | None = None
        super().__init__(config.name, set_up)

    def report(self) -> ActorReport | None:
        """How it stands; None while it starts."""
        return None if self._member is None else self._member.report()

    async def work(self) -> None:
        async with minting_member(self._config) as member:
            self._member = member
            log.info("minting_works", actor=self._config.name)
            await member.run()
