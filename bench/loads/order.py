"""A load as a process of its own: its order comes as JSON on stdin, its result goes as JSON to stdout."""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import msgspec
import uvloop

from bench.wire.client import WireTrouble

Order = TypeVar("Order")


def run_order(run: Callable[[Order], Coroutine[Any, Any, object]], order: type[Order], name: str) -> NoReturn:
    """Carry out the order and end the process; connections and sockets end with it. ``name`` begins what goes wrong."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=order)
    try:
        result = uvloop.run(run(asked))
    except (OSError, WireTrouble) as error:
        sys.exit(f"{name}: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(result))
    sys.stdout.flush()
    os._exit(0)
