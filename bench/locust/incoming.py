"""The frames in a stream of bytes from a server (RFC 6455 §5.2).

The library reads each frame with several system calls, which is most of the work of a process with many watchers.
"""

from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FRAME_BYTES_MAX = 16 * 1024 * 1024
_FIN, _MASKED, _RESERVED = 0x80, 0x80, 0x70


class BrokenStream(Exception):
    """The server does not keep to RFC 6455."""


class Incoming:
    """Give it bytes as they come; it gives back whole messages and control frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts = bytearray()
        self._first_opcode = CONTINUATION

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """`(opcode, payload)` of all that is complete now. Raises BrokenStream."""
        self._buffer += data
        at = 0
        while (found := self._frame(at)) is not None:
            head, start, at = found
            payload = bytes(self._buffer[start:at])
            opcode = head & 0x0F
            if opcode >= CLOSE or (head & _FIN and not self._parts and opcode != CONTINUATION):
                yield opcode, payload
            else:
                yield from self._fragment(opcode, bool(head & _FIN), payload)
        del self._buffer[:at]

    def _frame(self, at: int) -> tuple[int, int, int] | None:
        """`(first byte, start, end)` of the frame there; None: it is not complete."""
        buffer = self._buffer
        if len(buffer) < at + 2:
            return None
        head, size, start = buffer[at], buffer[at + 1], at + 2
        if head & _RESERVED or size & _MASKED:
            raise BrokenStream(f"a frame begins with {head:#x} {size:#x}")
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[at + 2 : start], "big")
        if size > FRAME_BYTES_MAX:
            raise BrokenStream(f"a frame of {size:,} bytes")
        return (head, start, start + size) if len(buffer) >= start + size else None

    def _fragment(self, opcode: int, last: bool, payload: bytes) -> Iterator[tuple[int, bytes]]:
        if opcode != CONTINUATION:
            self._first_opcode = opcode
            self._parts.clear()
        self._parts += payload
        if len(self._parts) > FRAME_BYTES_MAX:
            raise BrokenStream("the fragments of a message are too large")
        if last:
            whole = bytes(self._parts)
            self._parts.clear()
            yield self._first_opcode, whole
