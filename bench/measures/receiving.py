"""POST of 100 and of 1, beside a bare loop and a bare handler."""

import json
import os
import subprocess
from collections.abc import Generator
from statistics import median

from bench.database import as_environment, connected, number
from bench.findings import Finding, ratio
from bench.load import Load, Result
from bench.place import EXECUTIONS, Place, python, trade_service
from bench.processes import BenchError, Running
from globeco_allocation.adapters.postgres.address import DatabaseAddress

LOOKUP_SECONDS = 0.005

_MOST_RECORDS_A_SECOND = 100_000  # far beyond what is possible: so many ids are set aside


def measure(place: Place) -> Generator[Finding]:
    """Yield the findings about receiving executions."""
    database = place.database("received")
    with place.service(database) as service:
        yield _hundred(place, database, service)
        with place.limit(database) as bare:
            yield from _one(place, service, bare)
        _all_are_kept(database, service)
        yield _counting(place, service, database)
    yield _lone_caller(place, database)


def _hundred(place: Place, database: DatabaseAddress, service: Running) -> Finding:
    scale = place.scale
    ours, limit = list[Result](), list[float]()
    for _ in range(scale.rounds):
        limit.append(_bare_loop(place, database))
        asked = Load(port=service.port, path=EXECUTIONS, records=100, seconds=scale.seconds)
        ours.append(place.put(asked, 201))
    rates = [one.rate for one in ours]
    return Finding(
        work="POST of 100",
        figure=f"{median(rates):.0f} a second",
        limit=f"{median(limit):.0f} a second",
        ratio=ratio(rates, limit),
        goal=0.6,
        at_least=True,
        about="8 clients; limit: a bare loop of 100 aiohttp calls and one insert, 8 side by side;"
        f" {generator_share(ours)}",
    )


def _bare_loop(place: Place, database: DatabaseAddress) -> float:
    first = place.take_keys(round(_MOST_RECORDS_A_SECOND * (place.scale.seconds + 1)))
    command = python("bench.limits", *place.limit_arguments, "--loop-from", str(first))
    command += ["--seconds", str(place.scale.seconds)]
    environ = {**os.environ, **as_environment(database)}
    return float(subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True).stdout)


def _one(place: Place, service: Running, bare: Running) -> Generator[Finding]:
    yield from beside_bare(
        place,
        service,
        Load(port=service.port, path=EXECUTIONS, records=1, seconds=place.scale.seconds),
        bare,
        Load(port=bare.port, records=1, seconds=place.scale.seconds),
        work="POST of 1",
        about="8 clients; limit: a bare ASGI handler with one aiohttp call and one committed insert",
    )


def beside_bare(
    place: Place, service: Running, asked: Load, bare: Running, asked_bare: Load, *, work: str, about: str
) -> Generator[Finding]:
    """Put a load on the service and on a bare handler in turn."""
    expected = 201 if asked.records else 200
    ours, limit = list[tuple[Result, float]](), list[tuple[Result, float]]()
    for _ in range(place.scale.rounds):
        limit.append(place.put_on(bare, asked_bare, expected))
        ours.append(place.put_on(service, asked, expected))
    results = [result for result, _ in ours]
    yield Finding(
        work=work,
        figure=_rate_and_cpu(ours),
        limit=_rate_and_cpu(limit),
        ratio=ratio([one.rate for one in results], [one.rate for one, _ in limit]),
        goal=0.6,
        at_least=True,
        about=f"{about}; {generator_share(results)}",
    )
    yield tail(results, work)


def _rate_and_cpu(measured: list[tuple[Result, float]]) -> str:
    rate = median(result.rate for result, _ in measured)
    cpu = median(milliseconds for _, milliseconds in measured)
    return f"{rate:.0f} a second ({cpu:.2f} ms CPU each)"


def generator_share(results: list[Result]) -> str:
    """Say how much of the machine the load generator took itself."""
    return f"the load generator takes {median(one.cpu_share for one in results):.0%} of a core"


def tail(results: list[Result], work: str) -> Finding:
    """Tell how far the slowest answers are from the usual ones."""
    p50 = median(one.milliseconds["p50"] for one in results)
    p99 = median(one.milliseconds["p99"] for one in results)
    return Finding(
        work=f"{work}, slowest answers",
        figure=f"p99 {p99:.1f} ms",
        limit=f"p50 {p50:.1f} ms",
        ratio=median(one.milliseconds["p99"] / one.milliseconds["p50"] for one in results),
        goal=3,
        at_least=False,
        about="8 clients",
    )


def _all_are_kept(database: DatabaseAddress, service: Running) -> None:
    """Make sure that what was answered is there, once, and that the list tells so."""
    kept = int(number(database, "SELECT count(*) FROM execution"))
    shown = json.loads(service.get(f"{EXECUTIONS}?limit=1"))["pagination"]["totalElements"]
    if kept != shown:
        raise BenchError(f"{kept} executions are kept, and the list says {shown}")


def _counting(place: Place, service: Running, database: DatabaseAddress) -> Finding:
    """Find what the exact totals cost a writer, by leaving them out every other time."""
    scale = place.scale
    counted, uncounted = list[float](), list[float]()
    asked = Load(port=service.port, path=EXECUTIONS, records=1, seconds=scale.seconds)
    for _ in range(scale.rounds):
        for rates, switch in ((counted, "ENABLE"), (uncounted, "DISABLE")):
            with connected(database) as connection:
                connection.execute(f"ALTER TABLE execution {switch} TRIGGER USER".encode())
            rates.append(place.put(asked, 201).rate)
    with connected(database) as connection:
        connection.execute("ALTER TABLE execution ENABLE TRIGGER USER")
        connection.execute("SELECT recount_executions()")
    return Finding(
        work="POST of 1, with exact totals",
        figure=f"{median(counted):.0f} a second",
        limit=f"{median(uncounted):.0f} a second",
        ratio=ratio(counted, uncounted),
        goal=0.9,
        at_least=True,
        about="8 clients; limit: the same without the triggers that count",
    )


def _lone_caller(place: Place, database: DatabaseAddress) -> Finding:
    scale = place.scale
    ours, lookups = list[float](), list[float]()
    with (
        trade_service(LOOKUP_SECONDS) as slow,
        place.service(database, trade_port=slow.port) as service,
    ):
        for _ in range(scale.rounds):
            lookup = Load(
                port=slow.port,
                path="/api/v2/executions?executionServiceId=1",
                clients=1,
                seconds=scale.seconds / 2,
            )
            lookups.append(place.put(lookup, 200).milliseconds["p50"])
            asked = Load(port=service.port, path=EXECUTIONS, records=100, clients=1, seconds=scale.seconds)
            ours.append(place.put(asked, 201).milliseconds["p50"])
    return Finding(
        work="POST of 100, a lone caller",
        figure=f"p50 {median(ours):.1f} ms",
        limit=f"one lookup {median(lookups):.1f} ms",
        ratio=ratio(ours, lookups),
        goal=10,
        at_least=False,
        about="a Trade Service that takes 5 ms",
    )
