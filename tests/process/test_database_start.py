"""The database is made ready once, however long that takes; a refusal ends the wait."""

import asyncio
import sys

import pytest

from globeco_allocation.adapters.postgres.errors import DatabaseRefusedError, DatabaseUnreachableError
from globeco_allocation.entrypoints.database_start import DatabaseStart, DatabaseSteps
from globeco_allocation.entrypoints.migration_process import migrate_in_child
from globeco_allocation.entrypoints.workers.ready_word import ReadyWord


class Database:
    """Fails as it is told, then is ready."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.knocks = 0
        self.migrations = 0
        self.refusals: list[str] = []

    async def knock(self) -> None:
        self.knocks += 1
        if self.failures:
            raise self.failures.pop(0)

    async def migrate(self) -> None:
        self.migrations += 1

    def start(self) -> DatabaseStart:
        return DatabaseStart(self.knock, self.migrate, self.refusals.append, first_pause_seconds=0.001)


async def until_done(start: DatabaseStart, database: Database) -> None:
    async with asyncio.timeout(10), start.running():
        while start.migrating and not database.refusals:  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0)


async def test_a_database_that_is_away_is_asked_again_until_it_is_there() -> None:
    database = Database(DatabaseUnreachableError("away"), DatabaseUnreachableError("away"))
    start = database.start()

    await until_done(start, database)

    assert (database.knocks, database.migrations, database.refusals) == (3, 1, [])


async def test_a_refusal_is_told_once_and_nothing_is_tried_again() -> None:
    database = Database(DatabaseUnreachableError("away"), DatabaseRefusedError("no such database"))
    start = database.start()

    await until_done(start, database)

    assert (database.knocks, database.migrations, database.refusals) == (2, 0, ["no such database"])
    assert start.migrating


async def test_a_fault_of_our_own_is_no_reason_to_stay_unready_in_silence() -> None:
    database = Database(RuntimeError("something secret"))

    await until_done(database.start(), database)

    assert database.refusals == ["the database could not be made ready, because of a fault in the service"]


async def test_the_wait_ends_with_its_owner() -> None:
    database = Database(*[DatabaseUnreachableError("away")] * 1000)
    start = DatabaseStart(database.knock, database.migrate, database.refusals.append, first_pause_seconds=60)

    async with asyncio.timeout(10), start.running():
        while not database.knocks:  # noqa: ASYNC110 (bounded)
            await asyncio.sleep(0)

    assert (database.knocks, database.refusals) == (1, [])


def start_of(worker: int, word: ReadyWord, database: Database) -> DatabaseStart:
    steps = word.steps_of(worker, DatabaseSteps(database.knock, database.migrate))
    return DatabaseStart(steps.knock, steps.migrate, database.refusals.append, first_pause_seconds=0.001)


async def test_of_several_workers_the_first_makes_the_database_ready_and_the_others_wait() -> None:
    database, word = Database(DatabaseUnreachableError("away")), ReadyWord()
    second = start_of(2, word, database)

    async with second.running():
        await asyncio.sleep(0)
        assert (second.migrating, database.knocks) == (True, 0)
        await until_done(start_of(1, word, database), database)
        await until_done(second, database)

    assert (database.knocks, database.migrations) == (2, 1)


async def test_a_first_worker_that_is_replaced_later_has_nothing_to_migrate() -> None:
    database, word = Database(), ReadyWord()
    await until_done(start_of(1, word, database), database)
    await until_done(start_of(1, word, database), database)

    assert (database.knocks, database.migrations) == (1, 1)


async def test_where_others_migrate_no_worker_is_held_up_by_it() -> None:
    database, word = Database(), ReadyWord()
    steps = [word.steps_of(worker, DatabaseSteps(database.knock, None)) for worker in (1, 2)]
    first, second = (DatabaseStart(one.knock, one.migrate, database.refusals.append) for one in steps)

    assert not first.migrating
    assert not second.migrating


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_a_migration_that_ends_well_says_nothing() -> None:
    await migrate_in_child({}, python("print('applied 0001')"))


@pytest.mark.parametrize("code", [1, 2])
async def test_a_refusal_carries_the_words_of_the_command(code: int) -> None:
    command = python(
        f"import sys; print('globeco-allocation: wrong name', file=sys.stderr); sys.exit({code})"
    )

    with pytest.raises(DatabaseRefusedError, match=r"\Awrong name\Z"):
        await migrate_in_child({}, command)


@pytest.mark.parametrize("code", ["sys.exit(3)", "os.kill(os.getpid(), 9)"])
async def test_a_migration_that_cannot_be_done_now_is_to_be_tried_again(code: str) -> None:
    with pytest.raises(DatabaseUnreachableError):
        await migrate_in_child({}, python(f"import os, sys; {code}"))


async def test_only_the_end_of_a_long_complaint_is_kept() -> None:
    command = python("import sys; print('x' * 1_000_000, 'the end', file=sys.stderr); sys.exit(1)")

    with pytest.raises(DatabaseRefusedError) as caught:
        await migrate_in_child({}, command)

    assert str(caught.value).endswith("the end")
    assert len(str(caught.value)) <= 4096


async def test_a_migration_ends_with_whoever_waits_for_it() -> None:
    command = python("print('begun', flush=True); import time; time.sleep(600)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await migrate_in_child({}, command)
