"""What one unit of work costs each process, as `ece bench capacity` measures it."""

import msgspec


class Constants(msgspec.Struct, frozen=True, kw_only=True):
    """Processor times in microseconds, sizes in bytes, delays in milliseconds.

    `gateway_us_per_bid` is from the frame of a bid to the written answer; `receive_us_per_message` is what every
    gateway pays for each message that a host publishes, whether or not it has watchers of these entities;
    `redis_us_per_publish` is what Redis pays for each gateway that a message goes to.
    """

    gateway_us_per_bid: float
    host_us_per_bid: float
    host_us_per_batch: float
    postgres_us_per_bid: float
    postgres_us_per_commit: float
    flush_ms: float
    redis_us_per_publish: float
    receive_us_per_message: float
    frame_us: float
    client_us_per_bid: float
    log_bytes_per_bid: float
    socket_bytes: float
    auction_bytes: float
    gateway_bytes: float
    host_bytes: float
