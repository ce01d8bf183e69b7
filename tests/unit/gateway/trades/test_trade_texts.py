"""Texts about trades are cleaned before they are logged, over the WebSocket as over REST."""

import pytest

from gateway.trades.checks import evidence_of, text_of, words_of
from gateway.wire.faults import RequestFailed


def test_texts_are_cleaned_and_only_messages_are_masked():
    assert text_of(" Mine\u200b  for ann@example.org \n", mask=True) == "Mine for •••"
    assert text_of("Mine for ann@example.org", mask=False) == "Mine for ann@example.org"
    assert words_of(" I wrote to ann@example.org ") == "I wrote to ann@example.org"
    assert evidence_of([" ipfs://x "]) == ("ipfs://x",)


@pytest.mark.parametrize("text", ["a\x00b", "a\u202eb", "\x1b[31m"])
def test_what_no_text_may_have_is_refused(text: str):
    with pytest.raises(RequestFailed) as failed:
        text_of(text, mask=True)
    assert failed.value.code == "invalid_terms"


@pytest.mark.parametrize("text", ["", " ", "\u200b"])
def test_a_dispute_says_something(text: str):
    with pytest.raises(RequestFailed):
        words_of(text)
    with pytest.raises(RequestFailed):
        evidence_of([text])
