"""An API that is away, that forgets who we are, or that lets us do less."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.kubernetes.faults import Hang, PlainNotFound, ServerFailed
from tests.kubernetes.job_runs import JobRuns, Permit, order_of

from globeco_allocation.domain.accounting_run import AccountingRun
from globeco_allocation.domain.errors import CliNotStartedError, RunNotFollowedError

ORDER = order_of()
SUCCEEDED = AccountingRun(0, None)


async def test_an_api_that_comes_back_soon_is_waited_for(runs: JobRuns) -> None:
    await runs.kubernetes.stop()
    task = asyncio.ensure_future(runs.run(ORDER))
    await asyncio.sleep(0.3)
    await runs.kubernetes.start()
    runs.succeeds_when_ready(ORDER)

    assert await task == SUCCEEDED


async def test_an_api_that_is_away_for_long_tells_nothing_about_the_run(runs: JobRuns) -> None:
    await runs.kubernetes.stop()

    with pytest.raises(RunNotFollowedError, match="it cannot be reached"):
        await runs.run(ORDER)


async def test_an_api_that_hangs_tells_nothing_about_the_run(runs: JobRuns) -> None:
    runs.kubernetes.faults.always("get", Hang())

    with pytest.raises(RunNotFollowedError, match="it did not answer"):
        await runs.run(ORDER)


async def test_an_api_that_goes_away_at_the_start_is_no_refusal(runs: JobRuns) -> None:
    permit = Permit(runs.kubernetes.stop)

    with pytest.raises(RunNotFollowedError):
        await runs.run(ORDER, permit)

    assert permit.begun > 1, "each repetition has to be permitted"
    assert runs.kubernetes.store.created == []


async def test_a_run_is_found_again_after_an_outage(runs: JobRuns) -> None:
    async with runs.running(ORDER) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        await runs.kubernetes.stop()
        runs.kubernetes.cluster.succeed(ORDER.name)
        await asyncio.sleep(0.3)
        await runs.kubernetes.start()

        assert await task == SUCCEEDED


async def test_a_run_that_cannot_be_followed_is_asked_for_again(runs: JobRuns) -> None:
    permit = Permit()
    async with runs.running(ORDER, permit) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        await runs.kubernetes.stop()
        with pytest.raises(RunNotFollowedError):
            await task
    await runs.kubernetes.start()
    runs.kubernetes.cluster.succeed(ORDER.name)

    assert await runs.run(replace(ORDER, uid=permit.uids[0])) == SUCCEEDED
    runs.kubernetes.assert_one_job_an_attempt()


@pytest.mark.parametrize("fault", [PlainNotFound(), ServerFailed(code=404, html=True)])
async def test_a_404_that_is_not_the_apis_word_does_not_mean_that_the_job_is_gone(
    runs: JobRuns, fault: PlainNotFound | ServerFailed
) -> None:
    async with runs.running(ORDER):
        pass
    runs.kubernetes.faults.next("get", fault, times=3)
    runs.kubernetes.cluster.succeed(ORDER.name)

    assert await runs.run(replace(ORDER, uid=runs.uid(ORDER.name))) == SUCCEEDED


async def test_a_renewed_token_is_read_again(runs: JobRuns, token_file: Path) -> None:
    permit = Permit()
    async with runs.running(ORDER, permit) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.rotate_token("second-token", token_file)
        runs.kubernetes.watches.tell("end")
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.rotate_token("third-token", token_file)
        runs.kubernetes.watches.tell("drop")
        runs.kubernetes.cluster.succeed(ORDER.name)

        assert await task == SUCCEEDED
    assert 401 in {request.status for request in runs.kubernetes.requests}


async def test_a_token_that_expired_at_the_start_is_a_refusal_with_its_reason(runs: JobRuns) -> None:
    async def expire() -> None:
        runs.kubernetes.rotate_token("unknown-to-us")

    with pytest.raises(CliNotStartedError, match="Unauthorized"):
        await runs.run(ORDER, Permit(expire))


async def test_a_token_that_expired_while_the_run_goes_on_says_nothing_about_it(runs: JobRuns) -> None:
    async with runs.running(ORDER) as task:
        await runs.kubernetes.cluster.until(lambda: bool(runs.kubernetes.watches.open))
        runs.kubernetes.rotate_token("unknown-to-us")
        runs.kubernetes.watches.tell("drop")

        with pytest.raises(RunNotFollowedError, match="Unauthorized"):
            await task


async def test_a_lost_token_file_is_no_crash(runs: JobRuns, token_file: Path) -> None:
    await asyncio.to_thread(token_file.unlink)

    with pytest.raises(RunNotFollowedError, match="token cannot be read"):
        await runs.run(ORDER)


async def test_the_check_passes_where_jobs_may_be_listed(runs: JobRuns) -> None:
    async with runs.runner() as cli:
        await cli.check()

    assert runs.verbs() == ["list"]


async def test_the_check_names_what_is_not_allowed(runs: JobRuns) -> None:
    runs.kubernetes.permitted.remove("list")

    async with runs.runner() as cli:
        with pytest.raises(
            CliNotStartedError, match=r"list Jobs in the namespace globeco \(Forbidden, 403\)"
        ):
            await cli.check()


async def test_a_refusal_is_logged_when_it_begins_and_when_it_is_over_and_not_with_every_call(
    runs: JobRuns, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "globeco_allocation.adapters.kubernetes_job")
    async with runs.runner() as cli:
        await cli.check()
        runs.kubernetes.rotate_token("unknown-to-us")
        for _ in range(3):
            with pytest.raises(CliNotStartedError, match="Unauthorized"):
                await cli.check()
        runs.kubernetes.rotate_token("renewed", token_file)
        await cli.check()
        await cli.check()

    refused, over = caplog.records
    assert (refused.levelname, refused.getMessage()) == ("WARNING", "Kubernetes API refuses")
    assert vars(refused)["facts"] == {"status": 401, "reason": "Unauthorized", "words": "Unauthorized"}
    assert (over.levelname, over.getMessage()) == ("INFO", "Kubernetes API refuses no more")


async def test_a_refusal_of_another_kind_is_logged_too(
    runs: JobRuns, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.kubernetes.rotate_token("unknown-to-us")
    async with runs.runner() as cli:
        with pytest.raises(CliNotStartedError):
            await cli.check()
        runs.kubernetes.rotate_token("renewed", token_file)
        runs.kubernetes.permitted.clear()
        with pytest.raises(CliNotStartedError):
            await cli.check()

    assert [vars(one)["facts"]["reason"] for one in caplog.records] == ["Unauthorized", "Forbidden"]


async def test_the_check_of_an_api_that_is_away_tells_so(runs: JobRuns) -> None:
    await runs.kubernetes.stop()

    async with runs.runner() as cli:
        with pytest.raises(RunNotFollowedError, match="it cannot be reached"):
            await cli.check()


@pytest.fixture(
    params=[b"not json", b"[]", b"{}", b'{"kind":"Status"}', b'{"metadata":{},"status":{}}', b'{"items":[]}']
)
async def nonsense(request: pytest.FixtureRequest, runs: JobRuns) -> AsyncGenerator[None]:
    """Another server, in the API's place, whose answers are not the API's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n"
        kind = statuses[len(answered) % len(statuses)]
        answered.append(kind)
        typed = b"Content-Type: application/json\r\n" if len(answered) % 2 else b""
        writer.write(head % (kind, len(request.param), typed) + request.param)
        await writer.drain()
        writer.close()

    statuses, answered = [b"200 OK", b"404 Not Found", b"403 Forbidden", b"500 Oh"], list[bytes]()
    port = runs.kubernetes.port
    await runs.kubernetes.stop()
    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        yield
    assert len(answered) > len(statuses)


@pytest.mark.usefixtures("nonsense")
async def test_answers_of_another_server_tell_nothing_about_the_run(runs: JobRuns) -> None:
    with pytest.raises(RunNotFollowedError):
        await runs.run(replace(ORDER, uid="some-uid"))
