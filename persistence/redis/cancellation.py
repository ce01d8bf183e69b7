"""What asyncio forgets of a cancellation."""

import asyncio


def check_cancelled() -> None:
    """Raises CancelledError if the current task was cancelled and has gone on.

    `asyncio.wait_for` before Python 3.12, which the Redis client uses to send, drops a cancellation that arrives
    together with its result (python/cpython#86296). A loop around the client would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
