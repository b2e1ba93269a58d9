"""The files of a large batch, beside a plain COPY of the same rows to the same disk."""

import hashlib
import os
import subprocess
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.database import as_environment, connected, number
from bench.findings import Finding, ratio
from bench.load import Load, Result
from bench.place import EXECUTIONS, Place, python, wait_until
from bench.processes import BenchError, Running
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.domain.manifest import manifest_name

MOST_MEMORY_MIB = 100
LONGEST_BLOCK_MS = 50

_GETS_A_SECOND = 100.0

_WRITTEN = """
SELECT count(*) FROM batch_claim AS c
 WHERE prepared_timestamp IS NOT NULL
   AND EXISTS (SELECT FROM delivery AS d WHERE d.batch_id = c.batch_id)
"""
_SECONDS = """
SELECT extract(epoch FROM max(d.written_timestamp) - min(c.claimed_timestamp))
  FROM delivery AS d JOIN batch_claim AS c ON c.batch_id = d.batch_id
"""


@dataclass(slots=True)
class _Exports:
    """The exports of one kind, and what was seen beside them."""

    seconds: list[float] = field(default_factory=list[float])
    copies: list[float] = field(default_factory=list[float])
    peaks: list[float] = field(default_factory=list[float])


def measure(place: Place) -> Generator[Finding]:
    """Yield the findings about writing files."""
    rows = place.scale.rows
    database = place.database("exported", rows)
    kinds = {
        "one lane, one file": ({"BATCH_FILE_MAX_RECORDS": str(rows)}, 1.3),
        "one lane, ten files": ({"BATCH_FILE_MAX_RECORDS": str(rows // 10)}, 1.3),
        "one file and its manifest": ({"BATCH_FILE_MAX_RECORDS": str(rows), "BATCH_MANIFEST": "true"}, 1.3),
        "four lanes": ({"BATCH_FILE_MAX_RECORDS": str(rows), "DELIVERY_LANES": "4"}, 1.6),
    }
    peaks = list[float]()
    for name, (settings, goal) in kinds.items():
        exports = _Exports()
        with place.service(database, settings) as service:
            for _ in range(place.scale.rounds):
                exports.copies.append(_bare_copy(place, database, all_columns="BATCH_MANIFEST" in settings))
                _export(place, database, service, exports)
        peaks += exports.peaks
        yield Finding(
            work=f"files of {rows:,} executions, {name}",
            figure=f"{median(exports.seconds):.2f} s",
            limit=f"{median(exports.copies):.2f} s",
            ratio=ratio(exports.seconds, exports.copies),
            goal=goal,
            at_least=False,
            about="from the claim to the last file's name; limit: a plain COPY of the same columns, flushed",
        )
    yield Finding(
        work=f"files of {rows:,} executions, memory",
        figure=f"peak {max(peaks):.0f} MiB",
        limit=f"{MOST_MEMORY_MIB} MiB",
        ratio=max(peaks),
        goal=MOST_MEMORY_MIB,
        at_least=False,
        about="the largest resident memory of the process, in any of these runs",
    )
    with place.service(database, {"BATCH_FILE_MAX_RECORDS": str(rows)}) as service:
        yield from _callers(place, database, service)


def _bare_copy(place: Place, database: DatabaseAddress, *, all_columns: bool) -> float:
    paths = [place.directory / "plain.csv"]
    if all_columns:
        paths.append(place.directory / "plain.all.csv")
    command = python("bench.bare_copy", *map(str, paths))
    environ = {**os.environ, **as_environment(database)}
    return float(subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True).stdout)


def _export(place: Place, database: DatabaseAddress, service: Running, exports: _Exports) -> None:
    service.forget_peak()
    service.post(f"{EXECUTIONS}/send", {"Prefer": "respond-async"})
    wait_until(lambda: number(database, _WRITTEN) == 1, "the batch's files are written")
    exports.seconds.append(number(database, _SECONDS))
    exports.peaks.append(service.peak_mib())
    _check_and_forget(place, database)


def _check_and_forget(place: Place, database: DatabaseAddress) -> None:
    """Make sure that the files hold the rows of the plain COPY, and let the next send claim them again."""
    lines = set[bytes]()
    total = 0
    with connected(database) as connection:
        files = connection.execute("SELECT file_name, record_count, checksum FROM delivery").fetchall()
    for name, record_count, checksum in files:
        path = place.directory / "files" / name
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != checksum or content.count(b"\n") != record_count + 1:
            raise BenchError(f"{name} is not what was recorded of it")
        total += record_count
        lines.update(content.splitlines()[1:])
        path.unlink()
        path.with_name(manifest_name(name)).unlink(missing_ok=True)
    plain = Path(place.directory / "plain.csv")
    if plain.exists() and (lines != set(plain.read_bytes().splitlines()) or total != len(lines)):
        raise BenchError("the files do not hold the rows of a plain COPY")
    with connected(database) as connection:
        connection.execute("DELETE FROM delivery")
        connection.execute("DELETE FROM batch_claim")
        connection.execute("DELETE FROM batch_history WHERE id > (SELECT min(id) FROM batch_history)")


def _callers(place: Place, database: DatabaseAddress, service: Running) -> Generator[Finding]:
    """Measure those who ask for executions, and how long the event loop answers nobody, during exports."""
    quiet = place.put(_gets(place, service), 200)
    during, silent = list[Result](), list[Result]()
    with ThreadPoolExecutor() as threads:
        for results, asked in ((during, _gets(place, service)), (silent, _probes(place, service))):
            loaded: Future[Result] = threads.submit(place.put, asked, 200)
            while not loaded.done():
                _export(place, database, service, _Exports())
            results.append(loaded.result())
    yield Finding(
        work="GET by id while a file is written",
        figure=f"p99 {during[0].milliseconds['p99']:.1f} ms",
        limit=f"p99 {quiet.milliseconds['p99']:.1f} ms when quiet",
        ratio=during[0].milliseconds["p99"] / quiet.milliseconds["p99"],
        goal=3,
        at_least=False,
        about=f"{_GETS_A_SECOND:.0f} a second, 8 clients, open loop",
    )
    yield Finding(
        work="event loop while a file is written",
        figure=f"longest answer {silent[0].milliseconds['max']:.0f} ms",
        limit=f"{LONGEST_BLOCK_MS} ms",
        ratio=silent[0].milliseconds["max"],
        goal=LONGEST_BLOCK_MS,
        at_least=False,
        about="/healthz, which asks nobody, every 10 ms: what it takes is an upper bound of any block",
    )


def _gets(place: Place, service: Running) -> Load:
    path, ids = f"{EXECUTIONS}/{{id}}", place.scale.few_rows
    seconds = place.scale.seconds * 2
    return Load(port=service.port, path=path, ids=ids, rate=_GETS_A_SECOND, seconds=seconds)


def _probes(place: Place, service: Running) -> Load:
    seconds = place.scale.seconds * 2
    return Load(port=service.port, path="/healthz", clients=1, rate=_GETS_A_SECOND, seconds=seconds)
