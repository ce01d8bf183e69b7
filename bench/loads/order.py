"""A load as a process of its own: its order comes as JSON on stdin, its result goes as JSON to stdout."""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import msgspec
import uvloop

from bench.wire.client import WireTrouble

Order = TypeVar("Order")
STDOUT = 1


def run_order(run: Callable[[Order], Coroutine[Any, Any, object]], order: type[Order], name: str) -> NoReturn:
    """Carry out the order and end the process; connections and sockets end with it. ``name`` begins what goes wrong."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=order)
    try:
        result = uvloop.run(run(asked))
    except (OSError, WireTrouble) as error:
        sys.exit(f"{name}: {error}")
    write_out(msgspec.json.encode(result))
    os._exit(0)


def write_out(data: bytes) -> None:
    """Write all of it to stdout.

    With PYTHONUNBUFFERED, `sys.stdout` writes once, and what a full pipe does not take then is lost without an error.
    """
    with open(STDOUT, "wb", closefd=False) as out:
        out.write(data)
