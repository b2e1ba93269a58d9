"""When a delivery is tried again."""

from datetime import timedelta

import pytest

from globeco_allocation.domain import RetryTerms

SECOND = timedelta(seconds=1)


def test_there_are_three_attempts_unless_told_otherwise() -> None:
    terms = RetryTerms()

    assert [terms.delay_after(tries) is None for tries in (1, 2, 3, 4)] == [False, False, True, True]


def test_the_wait_doubles_up_to_the_longest() -> None:
    terms = RetryTerms(attempts=6, first_delay=SECOND, longest_delay=5 * SECOND)

    assert [terms.delay_after(tries) for tries in range(1, 7)] == [
        SECOND,
        2 * SECOND,
        4 * SECOND,
        5 * SECOND,
        5 * SECOND,
        None,
    ]


def test_a_single_attempt_is_never_repeated() -> None:
    assert RetryTerms(attempts=1).delay_after(1) is None


@pytest.mark.parametrize("first_delay", [timedelta(0), timedelta(microseconds=1), timedelta(hours=1)])
def test_no_number_of_tries_is_too_large(first_delay: timedelta) -> None:
    terms = RetryTerms(attempts=100_001, first_delay=first_delay)

    delay = terms.delay_after(100_000)

    assert delay is not None
    assert delay <= terms.longest_delay
