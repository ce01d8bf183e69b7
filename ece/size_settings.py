"""The settings of size and placement: a part of `ece/settings.py`."""

from actors.hosting.limits import HostLimits
from actors.placement.control import DirectorLimits
from ece.setting_fields import Group, setting


class Size(Group):
    """Size and placement"""

    gateways: int = setting(1, "gateway processes; they share the port, and each can use one core", ge=1, le=16)
    spare_gateways: int = setting(
        1, "processes for each gateway that have loaded their program and replace it when it dies", ge=0, le=1
    )
    workers: int = setting(1, "processes that run background jobs", ge=1, le=16)
    hosts: int = setting(DirectorLimits.hosts, "hosts on each node", ge=1, le=64)
    spare_hosts: int = setting(
        DirectorLimits.spare_hosts, "hosts on each node that take over from a host that dies", ge=0, le=16
    )
    dedicated_max: int | None = setting(
        None,
        "dedicated hosts of all nodes; by default the smaller of two a core and a tenth of the memory by 64 MiB",
        by_default="by cores and memory",
        ge=0,
        le=10_000,
    )
    slots: int = setting(
        256, "slots that auctions and trades map to; must not change once a database has any", ge=1, le=65_536
    )
    passivate_after_s: int = setting(
        HostLimits().passivate_after_ms // 1000,
        "idle time after which an auction or a trade leaves memory",
        "seconds",
        ge=1,
    )
    disk_reserve_bytes: int = setting(
        268_435_456,
        "free disk space below which the embedded PostgreSQL refuses writes and an engine does not start",
        "bytes",
        ge=33_554_432,
    )
