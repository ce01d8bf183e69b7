"""Where a minted copy belongs on the chain."""

from hypothesis import given
from hypothesis import strategies as some

from domain.minting.custody import NOBODY, OUTSIDE, WITH_OWNER, WITH_VAULT, belongs

PLACES = ("free", "listed", "trade", "withdrawn")
places, owners = some.sampled_from(PLACES), some.integers(0, 2**62)


@given(places, owners)
def test_a_copy_is_in_the_vault_exactly_while_it_is_listed(place, owner):
    assert (belongs(place, owner) == WITH_VAULT) == (place == "listed")


@given(places, owners)
def test_only_what_somebody_here_has_is_in_the_wallet_of_its_owner(place, owner):
    assert (belongs(place, owner) == WITH_OWNER) == (place in ("free", "trade") and owner != NOBODY)


@given(owners)
def test_what_is_withdrawn_is_outside_whoever_owns_it(owner):
    assert belongs("withdrawn", owner) == OUTSIDE


@given(places, owners, owners)
def test_who_owns_it_does_not_matter_to_what_is_listed_or_withdrawn(place, one, other):
    if place in ("listed", "withdrawn"):
        assert belongs(place, one) == belongs(place, other)
