"""The chain of the audit trail: every change of it is found."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import Entry, Finding, Head, Link, check, follow

entries = st.builds(
    Entry, entry_id=st.integers(0, 2**62), at=st.integers(0, 2**42), action=st.sampled_from(["logout", "role.granted"]),
    actor_id=st.none() | st.integers(0, 9), actor=st.none() | st.just("ann"), subject=st.sampled_from(["", "0a", "ü"]),
    address=st.none() | st.just("192.0.2.1"), request_id=st.none(), details=st.sampled_from(["{}", '{"a": 1}']),
)  # fmt: skip
trails = st.lists(entries, min_size=2, max_size=5).map(
    lambda trail: [msgspec.structs.replace(entry, entry_id=n) for n, entry in enumerate(trail)]
)


def chained(trail: list[Entry]) -> list[Link]:
    links, head = [], Head()
    for entry in trail:
        head = follow(head, entry)
        links.append(Link(head.position, entry.entry_id, head.hash, entry))
    return links


def found(links: list[Link]) -> list[Finding]:
    findings, head = [], Head()
    for link in links:
        findings += check(head, link)
        head = Head(link.position, link.hash)
    return findings


@given(trails)
def test_what_nobody_has_changed_has_no_findings(trail: list[Entry]):
    assert found(chained(trail)) == []


@given(trails, st.data())
def test_any_change_of_an_entry_is_found_in_its_row(trail: list[Entry], data: st.DataObject):
    links, n = chained(trail), data.draw(st.integers(0, len(trail) - 1))
    entry = trail[n]
    name, value = data.draw(
        st.sampled_from([
            ("at", entry.at + 1), ("action", "other"), ("actor_id", 77), ("actor", "other"), ("subject", "other"),
            ("address", "198.51.100.1"), ("request_id", "r"), ("details", "[]"),
        ])
    )  # fmt: skip
    changed = msgspec.structs.replace(entry, **{name: value})
    links[n] = msgspec.structs.replace(links[n], entry=changed)
    assert [(one.kind, one.entry_id) for one in found(links)] == [("changed", entry.entry_id)]


@given(trails, st.data())
def test_a_missing_entry_and_a_missing_link_are_found(trail: list[Entry], data: st.DataObject):
    links, n = chained(trail), data.draw(st.integers(0, len(trail) - 2))
    without = [*links[:n], msgspec.structs.replace(links[n], entry=None), *links[n + 1 :]]
    assert [one.kind for one in found(without)] == ["missing"]
    assert [one.kind for one in found([*links[:n], *links[n + 1 :]])] == ["gap"]


@given(trails, st.data())
def test_entries_in_another_order_are_found(trail: list[Entry], data: st.DataObject):
    n = data.draw(st.integers(0, len(trail) - 2))
    links = chained(trail)
    first, second = links[n], links[n + 1]
    links[n] = Link(first.position, second.entry_id, first.hash, second.entry)
    links[n + 1] = Link(second.position, first.entry_id, second.hash, first.entry)
    assert [one.kind for one in found(links)] == ["changed", "changed"]
