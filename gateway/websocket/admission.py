"""How many commands of all sockets of one gateway may be under way, and how the sockets share these places.

A queue that is longer than the engine can work off in a moment serves nobody: what comes in last would be answered
late. So it is refused at once, and whoever bids now and then does not suffer from those who flood.
"""

UNDER_WAY_MAX = 2_000
# A round is so many times as many commands as there are places: each socket that floods asks at least once in it.
ROUND_PLACES = 8


class Share:
    """One socket's part."""

    __slots__ = ("round", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        # When it last asked.
        self.round = -1


class Admission:
    """Places for commands, from when a command comes in until its host has answered.

    While half of the places are free a socket may take as many as are left. Beyond that all sockets that ask share
    them equally, with one share left over: so a first command finds a place while there are more places than sockets.
    """

    __slots__ = ("_asked", "_round", "_sharing", "_sharing_before", "under_way", "under_way_max")

    def __init__(self, under_way_max: int = UNDER_WAY_MAX) -> None:
        self.under_way = 0
        self.under_way_max = under_way_max
        # Who shares is counted in rounds of commands.
        self._round = 0
        self._asked = 0
        self._sharing = 0
        self._sharing_before = 0

    def take(self, share: Share) -> bool:
        """Take a place for one more command of a socket, if it may have one."""
        self._count(share)
        left = self.under_way_max - self.under_way
        own = share.under_way
        if own >= left:
            return False
        if own and 2 * left < self.under_way_max:
            sharing = max(self._sharing, self._sharing_before)
            if (own + 1) * (sharing + 1) > self.under_way_max:
                return False
        share.under_way = own + 1
        self.under_way += 1
        return True

    def give_back(self, share: Share) -> None:
        """The command has its answer."""
        share.under_way -= 1
        self.under_way -= 1

    def _count(self, share: Share) -> None:
        self._asked += 1
        if self._asked > ROUND_PLACES * self.under_way_max:
            self._asked = 0
            self._round += 1
            self._sharing, self._sharing_before = 0, self._sharing
        if share.round != self._round:
            share.round = self._round
            self._sharing += 1
