"""What is done next with a transaction, and with the jobs of one that failed."""

from hypothesis import given
from hypothesis import strategies as some

from domain.minting.landing import (
    ATTEMPTS_MAX,
    BATCH_MAX,
    FAULTS_MAX,
    Poison,
    Retry,
    Seen,
    Step,
    Tried,
    after_expiry,
    after_failure,
    next_step,
)

heights = some.integers(0, 10_000)
seen = some.none() | some.builds(
    Seen, some.integers(0, 10_000), some.none() | some.text(min_size=1, max_size=5), some.booleans()
)
ENDS = {Step.LANDED, Step.FAILED, Step.EXPIRED}


@given(seen, heights, heights, some.booleans())
def test_only_a_final_outcome_or_a_proven_absence_ends_a_transaction(seen, height, last_valid, searched):
    step = next_step(seen, height, last_valid, searched=searched)
    if step is Step.LANDED:
        assert seen is not None
        assert seen.final
        assert seen.error is None
    elif step is Step.FAILED:
        assert seen is not None
        assert seen.final
        assert seen.error is not None
    elif step is Step.EXPIRED:
        assert seen is None
        assert searched
        assert height > last_valid


@given(heights, heights)
def test_what_is_in_no_block_is_sent_again_until_it_can_not_land_any_more(height, last_valid):
    step = next_step(None, height, last_valid, searched=False)
    assert step is (Step.SEND if height <= last_valid else Step.SEARCH)


@given(some.integers(0, 10_000), heights, heights, some.booleans(), some.booleans())
def test_what_is_in_a_block_that_is_not_final_is_never_given_up(slot, height, last_valid, searched, failed):
    step = next_step(Seen(slot, "error" if failed else None, False), height, last_valid, searched=searched)
    assert step is Step.WAIT


@given(some.integers(1, BATCH_MAX), some.sets(some.integers(0, BATCH_MAX - 1)))
def test_bisecting_ends_with_each_bad_job_poisoned_and_each_good_one_done(count, bad):
    queue = [(job, Tried(0, 0, BATCH_MAX)) for job in range(count)]
    done, poisoned, transactions = set(), set(), 0
    while queue:
        transactions += 1
        assert transactions <= 8 * count + 8
        size = min(tried.batch_max for _, tried in queue[:BATCH_MAX])
        batch, queue = queue[:size], queue[size:]
        if not bad & {job for job, _ in batch}:
            done |= {job for job, _ in batch}
            continue
        for job, tried in batch:
            match after_failure(tried, len(batch), "bad"):
                case Retry(faults, batch_max, _):
                    assert batch_max < len(batch) or len(batch) == 1
                    queue.append((job, Tried(tried.attempts + 1, faults, batch_max)))
                case Poison(reason):
                    assert (len(batch), reason) == (1, "bad")
                    poisoned.add(job)
    wanted = set(range(count))
    assert (done, poisoned) == (wanted - bad, wanted & bad)


def test_a_job_that_fails_alone_is_tried_again_before_it_is_poisoned():
    assert isinstance(after_failure(Tried(1, 0, 1), 1, "e"), Retry)
    assert after_failure(Tried(2, FAULTS_MAX - 1, 1), 1, "e") == Poison("e")


@given(some.integers(1, ATTEMPTS_MAX - 1))
def test_expiry_is_not_held_against_a_job_and_yet_has_an_end(attempts):
    again = after_expiry(Tried(attempts, 1, 4))
    assert isinstance(again, Retry)
    assert (again.faults, again.batch_max) == (1, 4)
    assert isinstance(after_expiry(Tried(ATTEMPTS_MAX, 0, 4)), Poison)
