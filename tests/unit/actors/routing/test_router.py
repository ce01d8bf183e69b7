"""From an auction to its host, over real TCP: what a gateway answers when hosts come, go and stall."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from auction_requests import bid_request, ordered, refused, state_request
from msgspec.structs import replace
from structlog.testing import capture_logs
from virtual_time import turns, until

from actors.clock import Clock
from actors.routing import hand_off_buffer
from actors.routing import router as router_module
from actors.routing.router import HostLink, Router, RouterLimits
from actors.stream.messages import Answer, Command, GetState, Refused, Request
from bench.faults.injection.proxy import Proxy
from persistence.placement.directory import HostAddress, slot_of
from persistence.postgres.errors import StoreUnavailable
from tests.unit.actors.stream.stream_servers import (
    LOOPBACK,
    SECRET,
    HostServer,
    Silence,
    Submit,
    echo,
    host_server,
    scripted_host,
)

SLOTS = 4
ALL_SLOTS = tuple(range(SLOTS))


class Hosts:
    """A directory whose content a test sets."""

    def __init__(self, *hosts: HostAddress) -> None:
        self.known = list(hosts)
        self.down = False
        self.asked = 0

    async def hosts(self) -> list[HostAddress]:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("the database is away")
        return self.known


def at(
    host: HostServer | int, slots: tuple[int, ...] = ALL_SLOTS, name: str = "h1", incarnation: int = 1
) -> HostAddress:
    port = host if isinstance(host, int) else host.port
    return HostAddress(name, incarnation, LOOPBACK, port, 0, slots)


@asynccontextmanager
async def routing(
    directory: Hosts, secret: bytes = SECRET, limits: RouterLimits | None = None
) -> AsyncIterator[Router]:
    router = Router(directory, secret, SLOTS, Clock(), limits)
    await router.start()
    try:
        yield router
    finally:
        await router.stop()
        await turns()


@pytest.fixture(autouse=True)
def _quick_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.routing.router.LOOK_UP_SOON_S", 0.005)
    monkeypatch.setattr("actors.routing.router.LOOK_UP_EVERY_S", 0.05)


def auction_in(slot: int) -> int:
    return next(number for number in range(1_000) if slot_of(number, SLOTS) == slot)


def code(answer: Answer) -> str:
    assert isinstance(answer, Refused)
    return answer.code


async def test_a_request_reaches_the_host_of_its_slot():
    asked: dict[str, list[int]] = {"h1": [], "h2": []}

    def noting(name: str) -> Submit:
        def submit(request: Request, request_id: int, reply: Callable[[int, Answer], None]) -> None:
            asked[name].append(request.entity)
            echo(request, request_id, reply)

        return submit

    async with (
        host_server(noting("h1")) as one,
        host_server(noting("h2")) as other,
        routing(Hosts(at(one, (0, 1)), at(other, (2, 3), "h2"))) as router,
    ):
        assert router.ready()
        for slot in ALL_SLOTS:
            await router.ask(state_request(auction_in(slot)))
    assert asked == {"h1": [auction_in(0), auction_in(1)], "h2": [auction_in(2), auction_in(3)]}


async def test_it_reports_entities_that_have_another_owner():
    async with host_server(echo) as one, host_server(echo) as other:
        directory = Hosts(at(one, (0, 1)), at(other, (2, 3), "h2"))
        async with routing(directory) as router:
            moved: list[int] = []
            router.on_moved = lambda is_moved: moved.extend(slot for slot in ALL_SLOTS if is_moved(auction_in(slot)))
            # Nobody owns the slots of a dead host, until another one has acquired them.
            directory.known = [at(other, (2, 3), "h2")]
            router.look_up_soon()
            await until(lambda: not router.ready())
            assert moved == []
            directory.known = [at(other, (0, 2, 3), "h2")]
            await until(lambda: moved)
            dedicated = auction_in(3)
            directory.known.append(replace(at(one, (), "h3"), entities=(dedicated,)))
            await until(lambda: len(moved) > 1)
    assert moved == [0, 3]


async def test_without_a_host_it_is_unavailable_at_once():
    async with routing(Hosts()) as router:
        assert not router.ready()
        answers: list[Answer] = []
        router.send(state_request(1), answers.append)
        assert [code(answer) for answer in answers] == ["unavailable"]
        assert code(await router.ask(state_request(1))) == "unavailable"


async def test_a_host_that_is_not_listening_is_unavailable_and_found_once_it_is():
    async with host_server() as host:
        port = host.port
    directory = Hosts(at(port))
    async with routing(directory) as router:
        assert code(await router.ask(state_request(1))) == "unavailable"
        async with host_server(port=port):
            await until(router.ready)
            assert code(await router.ask(state_request(1))) == "not_found"


async def test_what_waits_on_a_stream_that_is_lost_is_unavailable_at_once_and_the_stream_comes_back():
    silence = Silence()
    async with host_server(silence) as host, routing(Hosts(at(host))) as router:
        answers: list[Answer] = []
        for _ in range(3):
            router.send(state_request(1), answers.append)
        await until(lambda: len(silence.asked) == 3)
        host.cut()
        await until(lambda: len(answers) == 3)
        assert {code(answer) for answer in answers} == {"unavailable"}
        await until(router.ready)
        router.send(state_request(2), answers.append)
        await until(lambda: len(silence.asked) == 4)
        silence.answer_all()
        await until(lambda: len(answers) == 4)
        # The answers to what was given up reach nobody a second time.
        assert answers[3] == refused("not_found", 2)


async def test_an_answer_that_does_not_come_in_time_is_unavailable_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.routing.router.ANSWER_TIMEOUT_S", 0.05)
    silence = Silence()
    async with host_server(silence) as host, routing(Hosts(at(host))) as router:
        answers: list[Answer] = []
        router.send(state_request(1), answers.append)
        await until(lambda: answers)
        assert code(answers[0]) == "unavailable"
        silence.answer_all()
        await until(router.ready)
        router.send(state_request(2), answers.append)
        await until(lambda: silence.asked)
        silence.answer_all()
        await until(lambda: len(answers) == 2)
        assert answers[1] == refused("not_found", 2)


async def test_a_dead_stream_whose_end_nobody_tells_is_opened_again_when_an_answer_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("actors.routing.router.ANSWER_TIMEOUT_S", 0.05)
    async with host_server() as host:
        proxy = Proxy(host.port)
        proxy.start()
        try:
            async with routing(Hosts(at(proxy.port))) as router:
                assert await router.ask(state_request(1)) == refused("not_found", 1)
                proxy.strand()
                assert code(await router.ask(state_request(2))) == "unavailable"
                await until(router.ready)
                assert await router.ask(state_request(3)) == refused("not_found", 3)
        finally:
            await asyncio.to_thread(proxy.stop)


async def test_asking_has_a_deadline_of_its_own():
    async with host_server(Silence()) as host, routing(Hosts(at(host))) as router:
        assert code(await router.ask(state_request(1), timeout_s=0.05)) == "unavailable"


async def test_so_many_may_wait_and_no_more():
    silence = Silence()
    async with host_server(silence) as host, routing(Hosts(at(host)), limits=RouterLimits(pending_max=5)) as router:
        answers: list[Answer] = []
        for _ in range(8):
            router.send(state_request(1), answers.append)
        assert [code(answer) for answer in answers] == ["overloaded"] * 3
        await until(lambda: len(silence.asked) == 5)
        assert router.waiting() == {"h1": 5}
        silence.answer_all()
        await until(lambda: len(answers) == 8)
        router.send(state_request(1), answers.append)
        await until(lambda: silence.asked)


def moved(request: GetState, request_id: int, reply) -> None:
    reply(request_id, refused("moved", 0))


async def test_a_slot_that_moved_is_looked_up_and_asked_again():
    async with host_server(moved) as old, host_server(echo) as new:
        directory = Hosts(at(old))
        async with routing(directory) as router:
            directory.known = [at(old, ()), at(new, name="h2")]
            assert await router.ask(state_request(9)) == refused("not_found", 9)


async def test_requests_of_a_moving_slot_wait_and_arrive_in_their_order():
    arrived: list[int] = []
    silence = Silence()

    def noting(request: Command, request_id: int, reply) -> None:
        arrived.append(ordered(request).amount)
        reply(request_id, refused("not_found", ordered(request).amount))

    async with host_server(silence) as old, host_server(noting) as new:
        directory = Hosts(at(old))
        async with routing(directory) as router:
            answers: list[Answer] = []
            for amount in (1, 2):
                router.send(bid_request(9, 1, "ann", amount, "k"), answers.append)
            await until(lambda: len(silence.asked) == 2)
            (_, first, reply), (_, second, _) = silence.asked
            # The later one is turned away first; what is sent from now on is held from the start.
            reply(second, refused("moved", 0))
            await until(lambda: 9 in router._handed_off)
            router.send(bid_request(9, 1, "ann", 3, "k"), answers.append)
            directory.known = [at(old, ()), at(new, name="h2")]
            await until(lambda: directory.asked > 3)
            assert (answers, arrived) == ([], [])  # The first is still with the old host.
            reply(first, refused("moved", 0))
            await until(lambda: len(answers) == 3)
            assert arrived == [1, 2, 3]


async def test_an_auction_that_nobody_keeps_is_unavailable_once_it_was_held_for_long_enough():
    asked = []

    def always(request, request_id, reply) -> None:
        asked.append(request)
        moved(request, request_id, reply)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hand_off_buffer, "HELD_FOR_S", 0.5)
        async with host_server(always) as host, routing(Hosts(at(host))) as router:
            assert code(await router.ask(state_request(9))) == "unavailable"
    # Soon at first, and each time after as long again: it is not asked at every look into the directory.
    assert 3 <= len(asked) <= 7


async def test_a_host_that_is_named_a_moment_before_it_knows_so_itself_is_asked_again_soon():
    asked = []

    def knows_the_third_time(request: Command, request_id: int, reply) -> None:
        asked.append(ordered(request).amount)
        (moved if len(asked) <= 2 else echo)(request, request_id, reply)

    with pytest.MonkeyPatch.context() as patch:
        # As if for ever: nothing else would ask it again.
        patch.setattr(hand_off_buffer, "TRY_AGAIN_MAX_S", 60.0)
        async with host_server(knows_the_third_time) as host, routing(Hosts(at(host))) as router:
            answers: list[Answer] = []
            for amount in (1, 2):
                router.send(bid_request(9, 1, "ann", amount, "k"), answers.append)
            await until(lambda: len(answers) == 2)
            assert [code(answer) for answer in answers] == ["not_found", "not_found"]
            assert asked == [1, 2, 1, 2]


async def test_no_more_than_so_many_requests_are_held():
    async with host_server(moved) as host, routing(Hosts(at(host)), limits=RouterLimits(held_max=2)) as router:
        answers: list[Answer] = []
        for _ in range(3):
            router.send(state_request(9), answers.append)
        await until(lambda: answers)
        assert [code(answer) for answer in answers] == ["overloaded"]
        assert router.held == 2


async def test_what_is_held_is_answered_when_the_gateway_stops():
    async with host_server(moved) as host:
        answers: list[Answer] = []
        async with routing(Hosts(at(host))) as router:
            router.send(state_request(9), answers.append)
            await until(lambda: 9 in router._handed_off)
        assert [code(answer) for answer in answers] == ["unavailable"]


async def test_an_auction_with_a_host_of_its_own_is_asked_there_and_its_slot_elsewhere():
    def alone(request, request_id, reply) -> None:
        reply(request_id, refused("alone", request.entity))

    async with host_server(echo) as shared, host_server(alone) as own:
        known = [at(shared), replace(at(own, (), name="h2"), entities=(9,))]
        async with routing(Hosts(*known)) as router:
            assert await router.ask(state_request(9)) == refused("alone", 9)
            assert await router.ask(state_request(10)) == refused("not_found", 10)


async def test_a_host_that_stands_by_is_connected_before_it_is_given_anything_to_keep():
    async with host_server() as host, host_server() as idle, routing(Hosts(at(host), at(idle, (), "h2"))) as router:
        await until(lambda: (link := router._links.get(("h2", 1))) and link.stream)
        assert code(await router.ask(state_request(1))) == "not_found"


async def test_at_its_start_a_gateway_waits_for_no_host_that_keeps_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.stream.connection.HANDSHAKE_TIMEOUT_S", 30.0)

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scripted_host(mute) as frozen, host_server() as host:
        directory = Hosts(at(host), at(frozen, (), "h2"))
        async with asyncio.timeout(2.0), routing(directory) as router:
            assert code(await router.ask(state_request(1))) == "not_found"


async def test_what_a_stopped_host_never_answers_is_unavailable_soon_after_another_has_taken_over():
    silence = Silence()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(router_module, "TAKEN_OVER_S", 0.05)
        async with host_server(silence) as stopped, host_server(echo) as new:
            directory = Hosts(at(stopped))
            async with routing(directory) as router:
                answers: list[Answer] = []
                router.send(state_request(9), answers.append)
                await until(lambda: silence.asked)
                directory.known = [at(stopped, ()), at(new, name="h2")]
                router.look_up_soon()
                await until(lambda: answers)
                assert code(answers[0]) == "unavailable"
                # Answered after all: too late, and no answer is delivered twice.
                silence.answer_all()
                assert await router.ask(state_request(9)) == refused("not_found", 9)
                assert len(answers) == 1


async def test_a_new_incarnation_replaces_the_old_one():
    silence = Silence()
    async with host_server(silence) as old, host_server(echo) as new:
        directory = Hosts(at(old))
        async with routing(directory) as router:
            answers: list[Answer] = []
            router.send(state_request(1), answers.append)
            await until(lambda: silence.asked)
            directory.known = [at(new, incarnation=2)]
            router.look_up_soon()
            await until(lambda: answers)
            assert code(answers[0]) == "unavailable"
            await until(router.ready)
            assert code(await router.ask(state_request(1))) == "not_found"
            await until(lambda: not old.streams)


async def test_while_the_directory_is_away_the_known_hosts_serve():
    async with host_server() as host:
        directory = Hosts(at(host))
        async with routing(directory) as router:
            directory.down = True
            before = directory.asked
            with capture_logs() as logs:
                await until(lambda: directory.asked > before + 2)
            assert code(await router.ask(state_request(1))) == "not_found"
            assert "directory_unavailable" in {entry["event"] for entry in logs}


async def test_a_directory_that_fails_oddly_does_not_end_the_looking():
    class Odd(Hosts):
        async def hosts(self) -> list[HostAddress]:
            self.asked += 1
            if 1 < self.asked < 4:
                raise LookupError("nobody foresaw this")
            return self.known if self.asked > 4 else []

    async with host_server() as host, routing(Odd(at(host))) as router:
        await until(router.ready)


async def test_a_host_of_another_cluster_is_not_asked():
    silence = Silence()
    async with host_server(silence, secret=b"another cluster's") as host, routing(Hosts(at(host))) as router:
        assert code(await router.ask(state_request(1))) == "unavailable"
        assert not router.ready()
    assert silence.asked == []


async def test_a_host_that_can_not_prove_itself_is_tried_no_more_often_than_one_that_is_away():
    async with host_server(secret=b"another cluster's") as host:
        directory = Hosts(at(host))
        async with routing(directory):
            before = directory.asked
            async with asyncio.timeout(5):
                await until(lambda: directory.asked > before + 3)
            # Four look-ups at the slow pace, not at the pace of "soon".
            loop = asyncio.get_running_loop()
            started, before = loop.time(), directory.asked
            await until(lambda: directory.asked >= before + 4)
            assert loop.time() - started > 3 * 0.04


async def test_a_host_that_hangs_in_its_handshake_keeps_nobody_from_the_others(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("actors.stream.connection.HANDSHAKE_TIMEOUT_S", 30.0)

    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scripted_host(mute) as frozen, host_server() as host:
        directory = Hosts(at(host))
        async with routing(directory) as router:
            directory.known = [at(frozen, (0,), "h0"), at(host, (1, 2, 3))]
            await until(lambda: directory.asked > 3)
            assert code(await router.ask(state_request(auction_in(0)))) == "unavailable"
            assert code(await router.ask(state_request(auction_in(1)))) == "not_found"
            # A host that comes later is found as well.
            async with host_server() as late:
                directory.known = [at(frozen, (0,), "h0"), at(late, (1, 2, 3), "h2")]
                await until(lambda: not host.streams)
                await until(lambda: (link := router._links.get(("h2", 1))) and link.stream)
                assert code(await router.ask(state_request(auction_in(1)))) == "not_found"


async def test_what_is_sent_in_one_turn_travels_in_few_frames(monkeypatch: pytest.MonkeyPatch):
    frames: list[int] = []
    send = HostLink._flush

    def counted(link: HostLink) -> None:
        frames.append(len(link._outbox))
        send(link)

    monkeypatch.setattr(HostLink, "_flush", counted)
    async with host_server() as host, routing(Hosts(at(host))) as router:
        answers: list[Answer] = []
        for _ in range(100):
            router.send(state_request(1), answers.append)
        await until(lambda: len(answers) == 100)
    assert sum(frames) == 100
    assert len([size for size in frames if size]) <= 100 // 16


async def test_after_stop_everything_is_unavailable():
    silence = Silence()
    async with host_server(silence) as host:
        directory = Hosts(at(host))
        async with routing(directory) as router:
            answers: list[Answer] = []
            router.send(state_request(1), answers.append)
            await until(lambda: silence.asked)
        assert [code(answer) for answer in answers] == ["unavailable"]
        assert code(await router.ask(state_request(1))) == "unavailable"
