"""`ece chain status` shows endpoints and the minting pool, and no keys."""

from io import StringIO

from rich.console import Console

from chain.rpc.endpoint import EndpointStatus
from ece.commands.chain.status import ChainState, _fields, _print, chain_state
from persistence.chain.status import ActorReport, ChainWork

GOOD = EndpointStatus("https://one.example", "healthy", 1_000, 0, 12.5, 40, 0, None)
BAD = EndpointStatus("https://two.example", "lagging", 900, 100, None, 3, 2, "getSlot: HTTP 503")
STATE = ChainState(1_000, 968, 800, "genesis", [GOOD, BAD])
ACTOR = ActorReport("minting-0", "payer", 2_500_000_000, 3, 70, 280, 12.25, "the fee payer is low")
WORK = ChainWork({"mint": {"queued": 5, "signed": 2}, "anchor": {"queued": 1}}, 4, 1_500, [(ACTOR, 200)])


def shown(state: ChainState, work: ChainWork) -> str:
    text = StringIO()
    _print(Console(file=text, width=200, highlight=False), state, work)
    return text.getvalue()


def test_it_shows_slots_servers_queue_and_actors():
    text = shown(STATE, WORK)
    for part in (
        "slot 1,000", "(32 behind)", "https://two.example", "lagging", "HTTP 503", "5 queued, 2 signed", "2.5000 SOL",
        "3 in flight", "12.2 a second", "the fee payer is low",
    ):  # fmt: skip
        assert part in text, part


def test_the_json_has_all_of_it():
    fields = _fields(STATE, WORK)
    assert (fields["slot"], fields["final_slot"], fields["lag"], fields["genesis"]) == (1_000, 968, 32, "genesis")
    assert [one["state"] for one in fields["endpoints"]] == ["healthy", "lagging"]
    assert (fields["queue"]["queued"], fields["queue"]["open_transactions"]) == (6, 4)
    assert fields["actors"][0] | {} == {
        "name": "minting-0", "fee_payer": "payer", "balance": 2_500_000_000, "in_flight": 3, "landed": 70,
        "jobs_done": 280, "jobs_per_s": 12.25, "note": "the fee payer is low", "reported_ms_ago": 200, "endpoints": [],
        "counts": {"sends": 0, "ended": {"landed": 0, "failed": 0, "expired": 0}, "kinds": {}},
    }  # fmt: skip


async def test_servers_that_do_not_answer_are_told_without_their_keys():
    state = await chain_state(["http://user:secret@127.0.0.1:1/secret?key=secret"])
    assert (state.slot, state.endpoints[0].state) == (None, "failing")
    text = shown(state, ChainWork({}, 0, 0, []))
    assert "No RPC server answers: chain_unavailable" in text
    assert "secret" not in text
    assert "No minting actor has reported lately" in text
