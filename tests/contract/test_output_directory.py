"""The replicas agree on one output directory; the twin and PostgreSQL agree."""

import asyncio
from datetime import timedelta

from tests.contract.stores import Stores

from globeco_allocation.ports.output_directory import LAPSES_AFTER

A, B = "0b0e7f3c-6a55-4d52-9b5c-7d3d3c1a9b01", "d2a4f2b6-3b1e-4f0e-8f57-0a6b2f0c4e02"
ALMOST = LAPSES_AFTER - timedelta(seconds=5)


async def test_the_first_directory_that_a_replica_sees_is_the_shared_one(stores: Stores) -> None:
    shared = await stores.output_directory.confirm(A, "replica-1")
    again = await stores.output_directory.confirm(A, "replica-2")

    assert (shared.identity, shared.confirmed_by) == (A, "replica-1")
    assert (again.identity, again.confirmed_by) == (A, "replica-2")
    assert shared.confirmed.utcoffset() == timedelta(0)
    assert again.confirmed >= shared.confirmed


async def test_a_replica_with_another_directory_is_told_who_saw_the_shared_one(stores: Stores) -> None:
    shared = await stores.output_directory.confirm(A, "replica-1")
    stores.step_clock(ALMOST)

    assert await stores.output_directory.confirm(B, "replica-2") == shared
    assert await stores.output_directory.confirm(B, "replica-1") == shared


async def test_a_directory_that_is_seen_now_and_then_stays_the_shared_one(stores: Stores) -> None:
    for _ in range(3):
        await stores.output_directory.confirm(A, "replica-1")
        stores.step_clock(ALMOST)
        answer = await stores.output_directory.confirm(B, "replica-2")

        assert answer.identity == A


async def test_a_directory_that_nobody_sees_any_more_is_followed_by_another(stores: Stores) -> None:
    await stores.output_directory.confirm(A, "replica-1")
    stores.step_clock(LAPSES_AFTER)
    shared = await stores.output_directory.confirm(B, "replica-2")

    assert (shared.identity, shared.confirmed_by) == (B, "replica-2")
    assert await stores.output_directory.confirm(A, "replica-1") == shared


async def test_of_those_who_see_different_directories_at_once_one_prevails(stores: Stores) -> None:
    answers = await asyncio.gather(
        *(stores.output_directory.confirm((A, B)[number % 2], f"replica-{number}") for number in range(8))
    )

    assert len({answer.identity for answer in answers}) == 1
