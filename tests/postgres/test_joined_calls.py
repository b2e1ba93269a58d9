"""Calls that come while another is under way go together, and none of them notices."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest

from globeco_allocation.adapters.postgres.joined_calls import JoinedCalls
from globeco_allocation.domain.errors import StoreUnavailableError


@dataclass
class Database:
    """Answers each call once it is let; an item "bad" spoils the call it is in."""

    calls: list[list[str]] = field(default_factory=list[list[str]])
    let: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    away: bool = False
    shut: Exception | None = None
    openings: int = 0

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator["Database"]:
        self.openings += 1
        if self.shut:
            raise self.shut
        yield self

    async def call(self, items: Sequence[str]) -> dict[str, str]:
        self.calls.append(list(items))
        await self.let.acquire()
        if self.away:
            raise StoreUnavailableError("it is away")
        if "bad" in items:
            raise ValueError("a bad item")
        return {item: item.upper() for item in items}

    def let_all(self) -> None:
        for _ in range(100):
            self.let.release()


async def begin(
    calls: JoinedCalls[Database, str, dict[str, str]], *items: str
) -> asyncio.Task[dict[str, str]]:
    """Begin a call, and let it come as far as it can."""
    task = asyncio.create_task(calls(items))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def test_a_lone_call_goes_at_once() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    task = await begin(calls, "a", "b")

    assert database.calls == [["a", "b"]]
    database.let_all()
    assert await task == {"a": "A", "b": "B"}


async def test_what_comes_at_the_same_time_goes_together_at_once() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    database.let_all()
    answers = await asyncio.gather(*(calls([item]) for item in "abc"))

    assert database.calls == [["a", "b", "c"]]
    assert [answer[item] for answer, item in zip(answers, "abc", strict=True)] == ["A", "B", "C"]


class Watched:
    """Notes each statement, and how many shared its round trip."""

    def __init__(self) -> None:
        self.seen: list[str | int] = []

    @contextmanager
    def __call__(self, sql: str) -> Generator["Watched"]:
        self.seen.append(sql)
        yield self
        self.seen.append("over")

    def sent(self, callers: int) -> None:
        self.seen.append(callers)


async def test_each_caller_s_own_wait_is_watched_and_told_how_many_share_the_round_trip() -> None:
    database, watched = Database(), Watched()
    calls = JoinedCalls(
        database.opened, Database.call, most_items=10, at_once=1, sql="SELECT 1", watch=watched
    )
    first, second, third = (asyncio.create_task(calls([item])) for item in "abc")
    second.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert watched.seen.count("SELECT 1") == 2, "one was gone before it began"
    database.let_all()

    assert [await first, await third] == [{"a": "A", "c": "C"}] * 2
    assert watched.seen == ["SELECT 1", "SELECT 1", 2, 2, "over", "over"]


async def test_with_two_ways_free_nothing_is_called_for_nobody() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=2)
    database.let_all()
    await asyncio.gather(*(calls([item]) for item in "ab"))
    await asyncio.gather(*(calls([item]) for item in "cd"))

    assert database.calls == [["a", "b"], ["c", "d"]]


async def test_what_comes_meanwhile_goes_together_in_its_order() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    tasks = [await begin(calls, *items) for items in ("a", "bc", "d")]
    assert database.calls == [["a"]]

    database.let_all()
    answers = await asyncio.gather(*tasks)
    assert database.calls == [["a"], ["b", "c", "d"]]
    assert [answers[0]["a"], answers[1]["c"], answers[2]["d"]] == ["A", "C", "D"]


async def test_as_many_are_under_way_as_may_be() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=2)
    tasks = [await begin(calls, item) for item in "abcd"]
    assert database.calls == [["a"], ["b"]]

    database.let_all()
    await asyncio.gather(*tasks)
    assert database.calls == [["a"], ["b"], ["c", "d"]]
    task = await begin(calls, "e")
    assert database.calls[-1] == ["e"], "the way is free again"
    await task


async def test_no_joined_call_is_larger_than_allowed_but_a_large_one_goes_alone() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=3, at_once=1)
    tasks = [await begin(calls, *items) for items in ("a", "bc", "de", "fghij", "k")]
    database.let_all()
    await asyncio.gather(*tasks)

    assert database.calls == [["a"], ["b", "c"], ["d", "e"], list("fghij"), ["k"]]


async def test_items_of_one_key_never_go_together() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1, key=str.lower)
    tasks = [await begin(calls, *items) for items in ("a", "bc", "d", "C", "e")]
    database.let_all()
    await asyncio.gather(*tasks)

    assert database.calls == [["a"], ["b", "c", "d"], ["C", "e"]]


async def test_a_fault_of_one_call_spoils_no_other() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    tasks = [await begin(calls, item) for item in ("a", "b", "bad", "c")]
    database.let_all()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert answers[:2] == [{"a": "A"}, {"b": "B"}]
    assert isinstance(answers[2], ValueError)
    assert answers[3] == {"c": "C"}


async def test_a_database_that_is_away_fails_each_call_and_is_asked_once() -> None:
    database = Database(away=True)
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    tasks = [await begin(calls, item) for item in "abc"]
    database.let_all()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [str(answer) for answer in answers] == ["it is away"] * 3
    assert len({id(answer) for answer in answers}) == 3, (
        "an error that two raise would gather their tracebacks"
    )
    assert database.calls == [["a"], ["b", "c"]]
    database.away = False
    assert await calls("d") == {"d": "D"}


@pytest.mark.parametrize("gone", ["a", "b"])
async def test_a_caller_that_is_cancelled_takes_nobody_along(gone: str) -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    tasks = {item: await begin(calls, item) for item in "abc"}
    tasks[gone].cancel()
    await asyncio.sleep(0)
    database.let_all()
    answers = await asyncio.gather(*tasks.values(), return_exceptions=True)

    kept = [item in answer for item, answer in zip(tasks, answers, strict=True) if isinstance(answer, dict)]
    assert kept == [True, True]
    assert (await calls("d"))["d"] == "D"


async def test_calls_in_a_row_share_what_is_opened_for_them() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1, key=str.lower)
    tasks = [await begin(calls, item) for item in ("a", "A", "a", "A")]
    database.let_all()
    await asyncio.gather(*tasks)

    assert len(database.calls) == 4
    assert database.openings == 1


async def test_what_is_opened_is_given_back_now_and_then() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=1, at_once=1)
    tasks = [await begin(calls, item) for item in "abc"]
    await asyncio.sleep(0.1)  # longer than anything is held
    database.let_all()
    await asyncio.gather(*tasks)

    assert database.openings == 2


async def test_whatever_is_wrong_is_not_used_again() -> None:
    database = Database()
    calls = JoinedCalls(database.opened, Database.call, most_items=1, at_once=1)
    tasks = [await begin(calls, item) for item in ("bad", "b")]
    database.let_all()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert database.openings == 2


async def test_a_database_that_lets_nobody_in_fails_each_call() -> None:
    database = Database(shut=StoreUnavailableError("no connection can be had"))
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    answers = await asyncio.gather(*(calls([item]) for item in "abc"), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["no connection can be had"] * 3
    database.shut = None
    database.let_all()
    assert await calls("d") == {"d": "D"}


async def test_whatever_keeps_it_from_being_opened_every_caller_is_told() -> None:
    database = Database(shut=ValueError("a fault of ours"))
    calls = JoinedCalls(database.opened, Database.call, most_items=10, at_once=1)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(calls([item]) for item in "abc"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 3

    database.shut = None
    database.let_all()
    assert await calls(["d"]) == {"d": "D"}
