"""GET by id beside a bare handler, and pages of a large table beside those of a small one."""

import json
from collections.abc import Generator
from statistics import median

from bench.database import connected, number
from bench.findings import Finding, ratio
from bench.load import Load
from bench.measures.receiving import beside_bare
from bench.place import EXECUTIONS, Place
from bench.processes import BenchError, Running
from globeco_allocation.adapters.postgres.address import DatabaseAddress

PAGE = 50


def measure(place: Place) -> Generator[Finding]:
    """Yield the findings about showing executions."""
    scale = place.scale
    many = place.database("many", scale.rows)
    few = place.database("few", scale.few_rows)
    with place.service(many) as large:
        with place.limit(many) as bare:
            yield from _one(place, large, bare)
        with place.service(few) as small:
            for which in ("first", "last"):
                yield _page(place, large, small, which)
        yield _total(many, large)


def _one(place: Place, service: Running, bare: Running) -> Generator[Finding]:
    ids, seconds = place.scale.few_rows, place.scale.seconds
    yield from beside_bare(
        place,
        service,
        Load(port=service.port, path=f"{EXECUTIONS}/{{id}}", ids=ids, seconds=seconds),
        bare,
        Load(port=bare.port, path="/{id}", ids=ids, seconds=seconds),
        work="GET by id",
        about="8 clients; limit: a bare ASGI handler with one fetchrow and one encode",
    )


def _page(place: Place, large: Running, small: Running, which: str) -> Finding:
    scale = place.scale
    ours, limit = list[float](), list[float]()
    for _ in range(scale.rounds):
        for times, service, rows in ((limit, small, scale.few_rows), (ours, large, scale.rows)):
            offset = 0 if which == "first" else rows - PAGE
            path = f"{EXECUTIONS}?limit={PAGE}&offset={offset}"
            asked = Load(port=service.port, path=path, clients=1, seconds=scale.seconds / 2)
            times.append(place.put(asked, 200).milliseconds["p50"])
    return Finding(
        work=f"list, {which} page of {PAGE}",
        figure=f"p50 {median(ours):.1f} ms",
        limit=f"p50 {median(limit):.1f} ms",
        ratio=ratio(ours, limit),
        goal=1.5,
        at_least=False,
        about=f"{scale.rows:,} executions; limit: {scale.few_rows:,} of them",
    )


def _total(database: DatabaseAddress, service: Running) -> Finding:
    """Delete some, and see whether the list still says how many there are."""
    with connected(database) as connection:
        connection.execute("DELETE FROM execution WHERE id % 1000 = 7 OR id BETWEEN 100 AND 1100")
    counted = int(number(database, "SELECT count(*) FROM execution"))
    shown = int(json.loads(service.get(f"{EXECUTIONS}?limit=1"))["pagination"]["totalElements"])
    if shown != counted:
        raise BenchError(f"the list says {shown}, and there are {counted}")
    return Finding(
        work="list, total after deletes",
        figure=f"{shown:,}",
        limit=f"{counted:,} counted",
        ratio=abs(shown - counted),
        goal=0,
        at_least=False,
        about="rows deleted one by one and a thousand in a row",
    )
