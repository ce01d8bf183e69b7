"""Contact data in messages are masked, and nothing else is changed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trade.masking import MASK, masked
from domain.trade.terms import TEXT_MAX

CONTACTS = [
    "ann@example.org", "ann.lee+cards@mail.example.co.uk", "ann (at) example (dot) org", "ann[at]example.org",
    "+49 170 1234567", "0049-170-123-4567", "(555) 123-4567 89", "017012345678",
    "https://example.org/x?y=1", "www.example.org", "t.me/ann", "wa.me/491701234567", "discord.gg/abc",
    "telegram: ann_cards", "Discord = ann", "whatsapp:+491701234567", "ann#1234", "@ann_cards",
]  # fmt: skip
HARMLESS = [
    "", "Mine for yours, and 5 dollars on top?", "It is a PSA 9.5, number 4/102.", "I paid 1,000,000 for it in 1999.",
    "1000000", "The copy 0pccv9n0g0005 of 2026", "at noon", "me@home", "signal me when you are there", "#4",
]  # fmt: skip


@pytest.mark.parametrize("contact", CONTACTS)
@pytest.mark.parametrize("around", ["{}", "Write to {} please", "({})", "a\n{}\nb"])
def test_contacts_are_masked_wherever_they_stand(contact: str, around: str):
    text = masked(around.format(contact))
    assert MASK in text
    assert contact not in text
    assert text.startswith(around.split("{}")[0][:5].rstrip("( "))


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str):
    assert masked(text) == text


@given(st.text(st.sampled_from("ab@.+-#:/ 019()[]atdotwme\n•"), max_size=200))
def test_what_was_masked_stays_the_same(text: str):
    assert masked(masked(text)) == masked(text)


@given(st.text(max_size=TEXT_MAX))
def test_a_text_never_gets_longer(text: str):
    assert len(masked(text)) <= len(text)


@given(st.text(st.sampled_from("abc xyz,.!?'\n"), max_size=200).filter(lambda text: "www" not in text))
def test_text_of_words_is_not_changed(text: str):
    assert masked(text) == text


@pytest.mark.parametrize("unit", ["a", "a.", "a@", "@a", "1", "1 ", "+1", "ann(at)", "www.", "a-", "tg:", "((", " "])
def test_no_text_takes_long(unit: str):
    text = (unit * TEXT_MAX)[:TEXT_MAX]
    began = time.perf_counter()
    masked(text)
    assert time.perf_counter() - began < 0.5
