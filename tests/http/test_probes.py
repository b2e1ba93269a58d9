"""``/healthz`` and ``/readyz``."""

import httpx
from tests.http.bench import Bench

from globeco_allocation import __version__
from globeco_allocation.entrypoints.http.options import HttpOptions


async def test_the_process_is_alive_even_while_the_database_is_not(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.database.available = False
    bench.checks.asleep = True
    answer = await client.get("/healthz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": __version__}


async def test_it_is_ready_when_every_part_is(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok"}}


async def test_it_is_not_ready_for_a_named_reason_and_ready_again_by_itself(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    bench.checks.found = {"database": "unavailable"}
    unready = await client.get("/readyz")
    bench.checks.found = {"database": "ok"}
    ready = await client.get("/readyz")

    assert unready.status_code == 503
    assert unready.json() == {"status": "not ready", "checks": {"database": "unavailable"}}
    assert ready.status_code == 200


async def test_checks_that_hang_are_an_answer_too() -> None:
    bench = Bench(options=HttpOptions(readiness_seconds=0.05))
    bench.checks.asleep = True
    async with bench.client() as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "checks": {"service": "no answer in time"}}


async def test_an_app_that_is_about_to_end_is_unready_and_closes_connections(bench: Bench) -> None:
    app = bench.app()
    async with bench.client(app) as client:
        before = await client.get("/healthz")
        app.drain()
        unready = await client.get("/readyz")
        alive = await client.get("/healthz")

    assert "connection" not in before.headers
    assert unready.status_code == 503
    assert unready.json()["checks"] == {"service": "ending"}
    assert (alive.status_code, alive.headers["connection"]) == (200, "close")
