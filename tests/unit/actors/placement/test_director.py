"""The director with real streams on loopback: everything has an owner, after deaths and during moves."""

import socket
from contextlib import AsyncExitStack

import pytest
from virtual_time import until

from actors.hosting.load_report import LoadReport, encode_load_report, load_report_of
from actors.hosting.ownership.ownership import Assignment
from actors.placement import director as director_module
from actors.placement import membership, reconciler
from actors.placement.control import DirectorLimits, Node
from actors.placement.membership import BLIND_AFTER_S, STALLED_AFTER_S
from actors.stream import connection
from persistence.placement.directory import slot_of
from tests.unit.actors.placement.fleets import GIB, SLOTS, Fleet, directed, directing
from tests.unit.actors.stream.stream_servers import LOOPBACK

AUCTION = 7
ALL = set(range(SLOTS))


async def test_every_node_gets_its_hosts_and_those_that_are_wanted_the_slots():
    async with directed(hosts=2, spare=1) as (fleet, _):
        assert fleet.started == [("host-0", "n0"), ("host-1", "n0"), ("host-2", "n0")]
        assert fleet.owned() == {"host-0": {0, 2}, "host-1": {1, 3}, "host-2": set()}
        assert fleet.notices == []


async def test_when_a_host_dies_the_one_that_stands_by_has_its_slots_at_once():
    async with directed() as (fleet, director):
        fleet.die("host-0")
        await until(lambda: fleet.owned()["host-1"] == ALL)
        await until(lambda: director.missing_for_s() > 0)
        await until(lambda: len(fleet.notices) == 2)
        assert fleet.notices == ["host-0 died", f"host-1 has taken over {SLOTS} slots"]
        # What Ray starts again stands by.
        await fleet.come_back("host-0")
        await until(lambda: director.missing_for_s() == 0)
        assert fleet.notices[2:] == ["host-0 serves again"]
        assert fleet.owned() == {"host-0": set(), "host-1": ALL}
        assert fleet.released == []


async def test_a_host_that_lives_but_says_nothing_any_more_loses_its_slots():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(membership, "STALLED_AFTER_S", 1.0)
        async with directed() as (fleet, _):
            fleet.hosts_there["host-0"].beats = False
            await until(lambda: fleet.owned()["host-1"] == ALL)
            assert "host-0 lives but has been silent" in fleet.notices[0]
    assert STALLED_AFTER_S > BLIND_AFTER_S


async def test_while_the_directory_is_away_nobodys_silence_counts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(membership, "STALLED_AFTER_S", 1.0)
        async with directed() as (fleet, director):
            looks = []
            patch.setattr(fleet, "drains", lambda drains=fleet.drains: looks.append(1) or drains())
            fleet.away = True
            stood_still = director._membership._steady() + 1.6
            await until(lambda: director._membership._steady() > stood_still)
            fleet.away = False
            before = len(looks)
            await until(lambda: len(looks) >= before + 2)
            assert fleet.owned() == {"host-0": ALL, "host-1": set()}
            assert fleet.notices == []


async def test_a_host_that_can_not_be_told_is_told_again():
    async with directed() as (fleet, director):
        fleet.deaf.add("host-1")
        fleet.die("host-0")
        await until(lambda: director.missing_for_s() > 0)
        assert fleet.owned()["host-0"] == ALL
        fleet.deaf.clear()
        await until(lambda: fleet.owned()["host-1"] == ALL)


async def test_while_the_directory_is_away_nothing_moves_and_afterwards_all_is_placed():
    async with directed() as (fleet, director):
        fleet.away = True
        fleet.die("host-0")
        await until(lambda: not director.placed.is_set())
        fleet.away = False
        await until(director.placed.is_set)
        assert fleet.owned()["host-1"] == ALL


async def test_while_nobody_lives_it_looks_no_more_often_than_ever():
    async with directed() as (fleet, director):
        for name in ("host-0", "host-1"):
            fleet.die(name)
        await until(lambda: not director.placed.is_set())
        before, since = fleet.looks, director._membership._steady()
        await until(lambda: director._membership._steady() > since + 1.2)
        assert fleet.looks - before <= 6


async def test_a_node_that_joins_gets_hosts_and_its_share_by_live_moves():
    async with directed() as (fleet, _):
        fleet.nodes_there = [*fleet.nodes_there, Node("n1", 24 * GIB, 2)]
        await until(lambda: fleet.owned().get("host-2") == {0, 1} or fleet.owned().get("host-3") == {0, 1})
        assert fleet.notices == ["node n1 has joined"]
        assert fleet.started[2:] == [("host-2", "n1"), ("host-3", "n1")]
        assert fleet.owned()["host-0"] == {2, 3}
        assert fleet.released == [("host-0", (0, 1), ())]


async def test_a_node_that_is_drained_hands_over_live_and_its_hosts_end():
    async with directed() as (fleet, director):
        fleet.nodes_there = [*fleet.nodes_there, Node("n1", 24 * GIB, 2)]
        await until(lambda: len(fleet.released) == 1)
        fleet.drained.add("n0")
        await until(lambda: {*fleet.ended} == {"host-0", "host-1"})
        assert fleet.released[1:] == [("host-0", (2, 3), ())]
        assert {host.node for host in fleet.hosts_there.values()} == {"n1"}
        assert set().union(*fleet.owned().values()) == ALL
        await until(director.placed.is_set)


async def test_a_node_that_is_gone_is_not_waited_for():
    async with directed() as (fleet, director):
        fleet.nodes_there = [*fleet.nodes_there, Node("n1", 24 * GIB, 2)]
        await until(lambda: len(fleet.released) == 1)
        [survivors] = [[name for name, host in fleet.hosts_there.items() if host.node == "n1"]]
        fleet.nodes_there = fleet.nodes_there[1:]
        for name in ("host-0", "host-1"):
            fleet.die(name)
        await until(lambda: set().union(*(fleet.owned()[name] for name in survivors)) == ALL)
        await until(lambda: director.missing_for_s() == 0 and "node n0 is gone" in fleet.notices)
        assert not [notice for notice in fleet.notices if "serves again" in notice]


async def test_a_host_that_ray_has_given_up_is_ordered_again_under_its_name():
    async with directed() as (fleet, director):
        fleet.given_up.add("host-0")
        fleet.die("host-0")
        await until(lambda: fleet.started[2:] == [("host-0", "n0")])
        await until(lambda: director.placed.is_set() and fleet.owned() == {"host-0": set(), "host-1": ALL})


async def test_a_host_that_is_started_again_and_again_in_vain_is_ordered_anew():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciler, "START_WITHIN_S", 0.3)
        async with directed() as (fleet, director):
            fleet.die("host-0")
            await until(lambda: fleet.started[2:] == [("host-0", "n0")])
            await until(lambda: director.missing_for_s() == 0)


async def test_a_director_that_succeeds_one_which_died_with_a_host_waits_for_nobody():
    async with AsyncExitStack() as stack:
        async with directing(Fleet(stack), DirectorLimits(SLOTS)) as (fleet, _):
            pass
        fleet.die("host-0")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(director_module, "GATHER_S", 60)
            async with directing(fleet, DirectorLimits(SLOTS)):
                assert fleet.owned() == {"host-0": set(), "host-1": ALL}


async def test_a_host_that_hangs_in_its_handshake_keeps_nobody_from_the_slots_of_another(
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(connection, "HANDSHAKE_TIMEOUT_S", 1.5)
    async with AsyncExitStack() as stack:
        fleet = Fleet(stack)
        async with directing(fleet, DirectorLimits(SLOTS, hosts=1, spare_hosts=2)):
            assert fleet.owned() == {"host-0": ALL, "host-1": set(), "host-2": set()}
        # It was stopped, and the next director finds it so: the kernel connects, and nobody answers.
        hung = stack.enter_context(socket.create_server((LOOPBACK, 0)))
        fleet.hosts_there["host-2"].server.port = hung.getsockname()[1]
        async with directing(fleet, DirectorLimits(SLOTS, hosts=1, spare_hosts=2)):
            for _ in range(2):
                await until(lambda looks=fleet.looks: fleet.looks > looks)
            fleet.die("host-0")
            await until(lambda: fleet.owned()["host-1"] == ALL, within_s=0.7)


async def test_slots_go_on_to_the_living_although_no_host_can_be_started():
    async with directed() as (fleet, director):
        fleet.starts_fail = True
        fleet.nodes_there = [*fleet.nodes_there, Node("n1", 24 * GIB, 2)]
        await until(lambda: "node n1 has joined" in fleet.notices)
        fleet.die("host-0")
        await until(lambda: fleet.owned() == {"host-0": set(), "host-1": ALL})
        await until(director.placed.is_set)


async def test_a_slot_goes_where_an_operator_wants_it():
    async with directed(hosts=2, spare=0) as (fleet, _):
        fleet.overrides[0] = "host-1"
        await until(lambda: 0 in fleet.owned()["host-1"])
        assert fleet.released[0] == ("host-0", (0,), ())


async def test_slots_that_the_other_does_not_take_go_back():
    async with directed(hosts=2, spare=0) as (fleet, _):
        fleet.deaf.add("host-1")
        fleet.overrides[0] = "host-1"
        fleet.ordered.clear()
        await until(lambda: len(fleet.released) >= 2)
        assert fleet.owned() == {"host-0": {0, 2}, "host-1": {1, 3}}
        # The other may have taken them before it failed: so they are not acquired as handed off.
        assert fleet.ordered[:2] == [
            ("host-1", Assignment((0,), released_at=1, released_by="host-0")), ("host-0", Assignment((0,)))
        ]  # fmt: skip


async def test_a_hot_auction_gets_a_host_of_its_own_and_goes_back_when_that_dies():
    async with directed() as (fleet, _):
        fleet.report_rates("host-0", a7=5_000)
        await until(lambda: AUCTION in fleet.hosts_there.get("dedicated-0", fleet.hosts_there["host-1"]).entities)
        assert fleet.released == [("host-0", (), (AUCTION,))]
        assert fleet.notices == [f"entity {AUCTION} has a dedicated host now: dedicated-0"]
        fleet.report_rates("host-0")
        fleet.report_rates("dedicated-0", a7=5_000)
        fleet.die("dedicated-0")
        await until(lambda: not fleet.hosts_there["dedicated-0"].entities)
        await until(lambda: len(fleet.notices) == 3)
        assert fleet.notices[1:] == [
            "dedicated-0 died",
            "host-0 has acquired 1 entities of a dedicated host that died",
        ]


async def test_a_finished_auction_gives_its_host_back_live():
    async with directed() as (fleet, _):
        fleet.hosts_there["host-0"].load_report = LoadReport(dedicated_wanted=[AUCTION])
        await until(lambda: fleet.hosts_there.get("dedicated-0") and fleet.hosts_there["dedicated-0"].entities)
        fleet.hosts_there["host-0"].load_report = LoadReport()
        fleet.hosts_there["dedicated-0"].load_report = LoadReport(ended=[AUCTION])
        await until(lambda: not fleet.hosts_there["dedicated-0"].entities)
        assert fleet.released[1:] == [("dedicated-0", (), (AUCTION,))]


async def test_an_auction_stays_with_its_slot_where_the_new_host_does_not_take_it():
    async with directed() as (fleet, _):
        fleet.deaf.add("dedicated-0")
        fleet.report_rates("host-0", a7=5_000)
        await until(lambda: len(fleet.released) >= 2)
        assert await fleet.dedicated() == {}
        moved = Assignment((), (AUCTION,), released_at=1, released_by="host-0")
        assert fleet.ordered[-4:-2] == [("dedicated-0", moved), ("host-0", Assignment((), (AUCTION,)))]


async def test_when_the_host_of_its_slot_dies_an_auction_with_its_own_host_stays_there():
    async with directed() as (fleet, _):
        fleet.report_rates("host-0", a7=5_000)
        await until(lambda: fleet.hosts_there.get("dedicated-0") and fleet.hosts_there["dedicated-0"].entities)
        fleet.report_rates("dedicated-0", a7=5_000)
        fleet.die("host-0")
        await until(lambda: fleet.owned()["host-1"] == ALL)
        assert await fleet.dedicated() == {AUCTION: "dedicated-0"}
        assert slot_of(AUCTION, SLOTS) in fleet.owned()["host-1"]


async def test_a_host_that_was_ordered_and_never_came_is_ordered_again():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciler, "START_WITHIN_S", 0.2)
        async with directed() as (fleet, _):
            started = []

            async def nobody_comes(host_id: str, node: str) -> None:
                started.append((host_id, node))

            patch.setattr(fleet, "start_host", nobody_comes)
            fleet.nodes_there = [*fleet.nodes_there, Node("n1", 24 * GIB, 2)]
            await until(lambda: len(started) >= 4)
            assert {*started} == {("host-2", "n1"), ("host-3", "n1")}


def test_what_a_host_of_another_version_says_is_nothing():
    report = LoadReport(pid=5, inbox=3, hottest=[])
    assert load_report_of(encode_load_report(report)) == report
    assert load_report_of(b'{"inbox": "many"}') == LoadReport()
    assert load_report_of(b'{"what is new": 1}') == LoadReport()
