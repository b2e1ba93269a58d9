"""Two worker processes beside one, on the same cores as the database and everything else."""

from collections.abc import Generator
from statistics import median

from bench.findings import Finding, ratio
from bench.load import Load
from bench.place import EXECUTIONS, Place
from bench.processes import BenchError, Running

CLIENTS = 32
"""More than one worker can serve without a queue."""

_COUNT = "globeco_allocation_http_requests_total"


def measure(place: Place) -> Generator[Finding]:
    """Yield the findings about several workers."""
    scale = place.scale
    database = place.database("received")
    with place.service(database) as one, place.service(database, {"WORKERS": "2"}) as two:
        for work, path, records in (
            ("POST of 1", EXECUTIONS, 1),
            ("GET by id", f"{EXECUTIONS}/{{id}}", 0),
        ):
            ours, limit = list[float](), list[float]()
            for _ in range(scale.rounds):
                for rates, service in ((limit, one), (ours, two)):
                    asked = Load(
                        port=service.port,
                        path=path,
                        records=records,
                        ids=100,
                        clients=CLIENTS,
                        seconds=scale.seconds,
                    )
                    rates.append(place.put(asked, 201 if records else 200).rate)
            yield Finding(
                work=f"{work}, two workers",
                figure=f"{median(ours):.0f} a second",
                limit=f"{median(limit):.0f} a second",
                ratio=ratio(ours, limit),
                goal=1.2,
                at_least=True,
                about=f"{CLIENTS} clients; limit: one worker",
            )
        yield _sum(place, two)


def _sum(place: Place, service: Running) -> Finding:
    before = _counted(service)
    asked = Load(port=service.port, path=f"{EXECUTIONS}/{{id}}", ids=100, seconds=place.scale.seconds / 2)
    answered = sum(place.put(asked, 200).statuses.values())
    counted = _counted(service) - before
    if counted != answered:
        raise BenchError(f"{answered} requests were answered, and /metrics counts {counted}")
    return Finding(
        work="metrics of two workers",
        figure=f"{counted:,} requests counted",
        limit=f"{answered:,} answered",
        ratio=abs(counted - answered),
        goal=0,
        at_least=False,
        about="one scrape, whichever worker answers it",
    )


def _counted(service: Running) -> int:
    lines = service.get("/metrics").decode().splitlines()
    route = f'{_COUNT}{{method="GET",route="{EXECUTIONS}/{{id}}",status="200"}}'
    return next((round(float(line.rpartition(" ")[2])) for line in lines if line.startswith(route)), 0)
