"""What a start costs, and what a service takes that has nothing to do."""

from collections.abc import Generator
from statistics import median

from bench.findings import Finding
from bench.place import Place

MOST_CPU_SECONDS = 1.0
MOST_IDLE_MIB = 80


def measure(place: Place) -> Generator[Finding]:
    """Yield the findings about starting."""
    database = place.database("received")
    cpu, memory, ready = list[float](), list[float](), list[float]()
    for _ in range(place.scale.rounds):
        with place.service(database) as service:
            cpu.append(service.cpu_seconds())
            memory.append(service.memory_mib())
            ready.append(service.ready_seconds)
    yield Finding(
        work="start",
        figure=f"ready after {median(cpu):.2f} s of CPU time",
        limit=f"{MOST_CPU_SECONDS:.0f} s",
        ratio=median(cpu),
        goal=MOST_CPU_SECONDS,
        at_least=False,
        about=f"migrations run in a child process and do not count; {median(ready):.1f} s on the clock",
    )
    yield Finding(
        work="idle memory",
        figure=f"{median(memory):.0f} MiB",
        limit=f"{MOST_IDLE_MIB} MiB",
        ratio=median(memory),
        goal=MOST_IDLE_MIB,
        at_least=False,
        about="resident, right after the start",
    )
