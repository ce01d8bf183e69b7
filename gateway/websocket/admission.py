"""How many commands of all sockets of one gateway may be in flight, and how the sockets share these slots.

A queue that is longer than the engine can work off in a moment serves nobody: what comes in last would be answered
late. So it is rejected at once, and a client that bids now and then does not suffer from those that flood.
"""

IN_FLIGHT_MAX = 2_000
# A round is so many times as many commands as there are slots: each socket that floods asks at least once in it.
ROUND_SLOTS = 8


class Share:
    """One socket's part."""

    __slots__ = ("in_flight", "round")

    def __init__(self) -> None:
        self.in_flight = 0
        # When it last asked.
        self.round = -1


class Admission:
    """Slots for commands, from when a command comes in until its host has answered.

    While half of the slots are free a socket may take as many as are left. Beyond that all sockets that ask share
    them equally, with one share left over: so a first command finds a slot while there are more slots than sockets.
    """

    __slots__ = ("_asked", "_round", "_sharing", "_sharing_before", "in_flight", "in_flight_max")

    def __init__(self, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self.in_flight = 0
        self.in_flight_max = in_flight_max
        # The sockets that share are counted in rounds of commands.
        self._round = 0
        self._asked = 0
        self._sharing = 0
        self._sharing_before = 0

    def take(self, share: Share) -> bool:
        """Take a slot for one more command of a socket, if it may have one."""
        self._count(share)
        left = self.in_flight_max - self.in_flight
        own = share.in_flight
        if own >= left:
            return False
        if own and 2 * left < self.in_flight_max:
            sharing = max(self._sharing, self._sharing_before)
            if (own + 1) * (sharing + 1) > self.in_flight_max:
                return False
        share.in_flight = own + 1
        self.in_flight += 1
        return True

    def give_back(self, share: Share) -> None:
        """The command has its answer."""
        share.in_flight -= 1
        self.in_flight -= 1

    def _count(self, share: Share) -> None:
        self._asked += 1
        if self._asked > ROUND_SLOTS * self.in_flight_max:
            self._asked = 0
            self._round += 1
            self._sharing, self._sharing_before = 0, self._sharing
        if share.round != self._round:
            share.round = self._round
            self._sharing += 1
