"""The cap on connections follows from settings and open files."""

import resource

import pytest

from ece.processes.gateway_limits import FILES_RESERVED, open_connections, raise_file_limit, sockets_limit
from ece.settings import BadSetting, Settings, load_settings


@pytest.mark.parametrize(
    ("settings", "files_max", "connections", "sockets"),
    [
        (Settings(), 1_048_576, 14_096, 10_000),
        (Settings(sockets_max=500), 1_048_576, 4_596, 500),
        (Settings(connections_max=800), 1_048_576, 800, 700),
        (Settings(database_pool_max=10), FILES_RESERVED + 10 + 400, 400, 350),
    ],
)
def test_connections_leave_room_for_files_and_sockets_for_rest(
    settings: Settings, files_max: int, connections: int, sockets: int
):
    opened = open_connections(settings, files_max)
    assert (opened.limits.connections_max, sockets_limit(settings, opened)) == (connections, sockets)


def test_the_file_limit_is_raised_to_the_hard_one():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        files_max = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files_max > 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_trusted_proxies_are_addresses_or_networks():
    assert load_settings(trusted_proxies=" 10.0.0.5, 10.1.0.0/16,::1").proxies == ["10.0.0.5", "10.1.0.0/16", "::1"]
    with pytest.raises(
        BadSetting, match=r"ECE_TRUSTED_PROXIES: balancer\.internal is neither an address nor a network"
    ):
        load_settings(trusted_proxies="10.0.0.5,balancer.internal")
