"""A kind and an auction format that the engine has never heard of go through the same host, log and verification."""

import asyncio

import msgspec
import pytest
from auction_examples import ANN, BOB
from auction_requests import state_in
from virtual_time import EPOCH_MS, until, virtual

import tests.kinds  # noqa: F401  registers them
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, Command, GetState, Open, Refused, StateAnswer, command
from domain.kinds import UnknownKind, kind_of
from domain.log.chain import LogRow
from domain.log.codec import encode, first_hash
from domain.log.verification import LogVerifier, SnapshotClaim, Verdict
from domain.money import usd
from tests.kinds.first_price import FirstPriceAuction, Record
from tests.kinds.pot import Break, Paid, PayIn, Pot, PotTerms, PublicPot
from tests.memory.holds import MemoryHolds
from tests.memory.tables import MemoryTables
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, FIRST, HOUR_MS, Client, World, bid, creation, slot

POT = AUCTIONS[20]
ENDS_AT = EPOCH_MS + HOUR_MS


def opening(pot: int = POT) -> Open:
    return Open(pot, "pot", msgspec.Raw(encode(PotTerms(pot, ENDS_AT))))


def pay_in(user: int, dollars: int, key: str, pot: int = POT) -> Command:
    return command(pot, "pot", PayIn(user, usd(dollars), key), (user, key))


async def pot_state(client: Client) -> PublicPot:
    # Not by `ask`: that reads auctions.
    number = client.send_raw(GetState(POT, "pot"))
    await until(lambda: client.answers[number])
    [answer] = client.answers[number]
    assert isinstance(answer, StateAnswer), answer
    return msgspec.msgpack.decode(answer.state, type=PublicPot)


def verdict(tables: MemoryTables, entity: int, kind: str) -> Verdict:
    snapshot = tables.snapshots.get(entity)
    claims = [] if snapshot is None else [SnapshotClaim(snapshot.seq, snapshot.hash, snapshot.state)]
    verifier = LogVerifier(kind_of(kind), entity, claims)
    for row in tables.events[entity]:
        assert (row.entity, row.kind) == (entity, kind)
        verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
    return verifier.finish()


@virtual
async def test_a_kind_that_only_tests_know_is_opened_paid_into_and_closed_on_time():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(30)})
    async with world.running(holds=holds) as client:
        client.send_raw(opening())
        first = await client.ask(pay_in(ANN, 40, "k1"))
        assert first == Accepted(1, 2, world.clock.now_ms(), Paid(usd(40)))
        assert await client.ask(pay_in(ANN, 40, "k1")) == msgspec.structs.replace(first, duplicate=True)
        assert await client.code(pay_in(ANN, 41, "k1")) == "key_reused"
        await client.ask(pay_in(BOB, 20, "k1"))
        refused = await client.ask(pay_in(BOB, 31, "k2"))
        assert isinstance(refused, Refused)
        assert refused.code == "insufficient_funds"
        assert holds.held == {(POT, ANN): usd(40), (POT, BOB): usd(20)}
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        await until(lambda: not holds.held)
        public = await pot_state(client)
        assert (public.total, public.payers, public.closed) == (usd(60), 2, True)
    result = verdict(world.tables, POT, "pot")
    assert result.findings == ()
    assert result.state == Pot(PotTerms(POT, ENDS_AT), {ANN: usd(40), BOB: usd(20)}, closed=True)
    assert world.tables.events[POT][0].hash != first_hash("auction", POT)
    assert (world.tables.summaries[POT].kind, world.tables.summaries[POT].ended) == ("pot", True)
    assert {update.kind for update in world.published.updates if update.entity == POT} == {"pot"}


@virtual
async def test_it_comes_back_from_its_log_and_its_snapshot_and_moves_between_hosts():
    world = World()
    async with world.running(limits=HostLimits(snapshot_every_events=3)) as client:
        client.send_raw(opening())
        for n in range(5):
            await client.ask(pay_in(ANN, n + 1, f"k{n}"))
        await client.host.records.flush()
    assert world.tables.snapshots[POT].kind == "pot"
    async with world.running() as old, world.running() as new:
        new.host.ownership.clear()
        # Its key is older than the snapshot: only the log knows it.
        again = await old.ask(pay_in(ANN, 1, "k0"))
        assert isinstance(again, Accepted)
        assert (again.seq, again.duplicate) == (2, True)
        released = await old.host.hand_off([slot(POT)], ())
        assert released
        new.host.acquire_slots([slot(POT)], ())
        assert await old.code(pay_in(BOB, 1, "m")) == "moved"
        assert (await new.ask(pay_in(BOB, 1, "m"))).seq == 7
        new.send_raw(command(POT, "pot", Break(BOB)))
        await new.settled()
        assert (await pot_state(new)).closed
    assert verdict(world.tables, POT, "pot").findings == ()


@virtual
async def test_lost_appends_and_killed_hosts_lose_no_ack_of_it():
    world = World()
    acks: dict[str, int] = {}
    for life in range(4):
        world.weather.writes.extend(["fine", "lost", "landed"] if life % 2 else ["landed", "fine", "lost"])
        async with world.running() as client:
            client.send_raw(opening())
            for n in range(6):
                key = f"{life}-{n}"
                answer = await client.ask(pay_in(ANN, 1, key))
                while isinstance(answer, Refused):
                    assert answer.code == "unavailable"
                    answer = await client.ask(pay_in(ANN, 1, key))
                acks[key] = answer.seq
    result = verdict(world.tables, POT, "pot")
    assert result.findings == ()
    assert result.state.total == usd(len(acks)) == usd(24)
    assert sorted(acks.values()) == [row.seq for row in world.tables.events[POT] if row.command_key is not None]


@virtual
async def test_asked_for_under_another_kind_nothing_is_found_and_nothing_is_harmed():
    world = World()
    async with world.running() as client:
        client.send_raw(opening())
        await client.ask(pay_in(ANN, 1, "k"))
        assert await client.code(GetState(POT, "auction")) == "not_found"
        assert await client.code(bid(ANN, 10, auction=POT)) == "not_found"
        assert await client.code(GetState(POT, "unheard of")) == "not_found"
    async with world.running() as client:
        # The first who asks is wrong about what it is; the log knows.
        assert await client.code(bid(ANN, 10, auction=POT)) == "not_found"
        assert (await pot_state(client)).total == usd(1)
    assert len(world.tables.events[POT]) == 2


@virtual
async def test_a_format_that_only_tests_know_is_an_auction_like_any_other():
    world, holds = World(), MemoryHolds({ANN: usd(100), BOB: usd(100)})
    async with world.running(holds=holds, limits=HostLimits(snapshot_every_events=2)) as client:
        await client.create(format="first_price")
        await client.create(AUCTIONS[1])
        assert (await client.ask(bid(ANN, 10))).result.price == usd(10)
        refused = await client.ask(bid(BOB, 10))
        assert (refused.code, refused.details) == ("bid_too_low", {"price": usd(10), "minimum": usd(11)})
        assert (await client.ask(bid(ANN, 10, auction=AUCTIONS[1]))).result.price == usd(1)
        await client.ask(bid(BOB, 11))
        await client.host.records.flush()
        await until(lambda: holds.held == {(FIRST, BOB): usd(11), (AUCTIONS[1], ANN): usd(10)})
    async with world.running(holds=holds) as client:
        assert (await client.state()).state.format == "first_price"
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        assert (await client.state()).state.winner == "bob"
        await until(lambda: world.published.updates[-1].final)
    result = verdict(world.tables, FIRST, "auction")
    assert result.findings == ()
    assert isinstance(result.state, FirstPriceAuction)
    assert (result.state.price, result.state.record) == (usd(11), usd(11))
    assert [state_in(update).price for update in world.published.updates if update.entity == FIRST][-1] == usd(11)
    codec = kind_of("auction").codec
    assert [codec.decode_event(row.body) for row in world.tables.events[FIRST]].count(Record(usd(11))) == 1
    assert verdict(world.tables, AUCTIONS[1], "auction").findings == ()


@virtual
async def test_terms_that_change_are_not_the_same_entity():
    world = World()
    async with world.running() as client:
        client.send_raw(opening())
        await client.settled()
        other = Open(POT, "pot", msgspec.Raw(encode(PotTerms(POT, ENDS_AT + 1))))
        assert await client.code(other) == "key_reused"
        assert isinstance(await client.ask(creation()), StateAnswer)


def test_a_kind_that_nobody_registered_is_not_guessed():
    with pytest.raises(UnknownKind):
        kind_of("unheard of")
