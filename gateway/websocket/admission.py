"""Admission control: limits the commands in flight of one gateway, and shares these slots between sockets.

Commands beyond the limit are rejected immediately, since in a long queue they would be answered late. Sockets with few
commands are not affected by those that send many.
"""

IN_FLIGHT_MAX = 2_000
# Length of a round, in multiples of the number of slots: a flooding socket sends at least one command in each.
ROUND_SLOTS = 8


class Share:
    """The slots of one socket."""

    __slots__ = ("in_flight", "round")

    def __init__(self) -> None:
        self.in_flight = 0
        # The round of its last command.
        self.round = -1


class Admission:
    """Slots for commands, from when a command comes in until its host has answered.

    While half of the slots are free, a socket may take any number of them. Beyond that, all active sockets share them
    equally, with one share in reserve: so a first command finds a slot while there are more slots than sockets.
    """

    __slots__ = ("_asked", "_round", "_round_commands", "_sharing", "_sharing_before", "in_flight", "in_flight_max")

    def __init__(self, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self.in_flight = 0
        self.in_flight_max = in_flight_max
        # The sockets that share are counted in rounds of commands.
        self._round = 0
        self._round_commands = ROUND_SLOTS * in_flight_max
        self._asked = 0
        self._sharing = 0
        self._sharing_before = 0

    def take(self, share: Share) -> bool:
        """Take a slot for a command of this socket; False: it may not have one more."""
        # The sockets that share are counted.
        self._asked += 1
        if self._asked > self._round_commands:
            self._begin_round()
        if share.round != self._round:
            share.round = self._round
            self._sharing += 1
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
        """Return the slot of a command that was answered."""
        share.in_flight -= 1
        self.in_flight -= 1

    def _begin_round(self) -> None:
        self._asked = 0
        self._round += 1
        self._sharing, self._sharing_before = 0, self._sharing
