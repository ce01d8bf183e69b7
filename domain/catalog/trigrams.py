"""Similarity of words: the share of trigrams that two words have in common (Jaccard)."""

# At least 3 in 10 of all trigrams of both: one wrong, missing or swapped letter in a word of five.
SHARED_TENTHS_MIN = 3
WORD_LENGTH_MAX = 64


def trigrams(word: str) -> frozenset[str]:
    """All runs of three letters of the word, with two blanks before and one after it; none of an empty word."""
    if not word:
        return frozenset()
    padded = f"  {word[:WORD_LENGTH_MAX]} "
    return frozenset(padded[place : place + 3] for place in range(len(padded) - 2))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether they share enough to be the same word, mistyped."""
    return bool(one) and len(one & other) * 10 >= len(one | other) * SHARED_TENTHS_MIN


def nearest(word: str, candidates: dict[str, frozenset[str]], count: int) -> list[str]:
    """Up to ``count`` of the candidates that look like the word, the most alike first."""
    its = trigrams(word)
    near = [(len(its & other) * 1_000_000 // len(its | other), name) for name, other in candidates.items()
            if alike(its, other)]  # fmt: skip
    return [name for _, name in sorted(near, key=lambda pair: (-pair[0], pair[1]))[:count]]
