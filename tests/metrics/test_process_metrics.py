"""What the service takes of the machine is shown under the names that every Prometheus library uses."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from globeco_allocation.entrypoints.metrics import Metrics
from globeco_allocation.entrypoints.metrics.process import AllProcesses, memory_limit

V2, V1, NO_LIMIT_IN_V1 = "0::/pod/box\n", "3:cpu:/\n4:memory:/pod/box\n0::/\n", "9223372036854771712"


def shown(collector: AllProcesses) -> dict[str, float]:
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}


def test_a_process_shows_its_own_memory_and_time() -> None:
    lines = Metrics().render().decode().splitlines()
    values = {
        name: float(value) for name, _, value in (one.rpartition(" ") for one in lines) if name[0] != "#"
    }

    own = psutil.Process()
    assert values["process_resident_memory_bytes"] == pytest.approx(own.memory_info().rss, rel=0.2)
    assert values["process_start_time_seconds"] == pytest.approx(own.create_time(), abs=2)
    assert values["process_cpu_seconds_total"] > 0
    assert values["process_open_fds"] > 0


def test_several_processes_are_added_up_and_one_that_ended_is_left_out() -> None:
    waiting = (sys.executable, "-c", "print('up', flush=True); input()")
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"  # a process just begun holds no memory yet
        together = shown(AllProcesses(lambda: (os.getpid(), other.pid)))
        alone = shown(AllProcesses(lambda: (os.getpid(),)))
        there = psutil.Process(other.pid).memory_info().rss
        other.communicate(b"\n")
    with_a_dead_one = shown(AllProcesses(lambda: (os.getpid(), other.pid)))

    for name in ("process_resident_memory_bytes", "process_open_fds"):
        assert together[name] > alone[name]
    assert together["process_resident_memory_bytes"] - alone["process_resident_memory_bytes"] <= 2 * there
    assert with_a_dead_one["process_cpu_seconds_total"] >= together["process_cpu_seconds_total"]


@pytest.mark.parametrize(
    ("own", "file", "text", "limit"),
    [
        (V2, "pod/box/memory.max", "104857600\n", 104857600),
        (V2, "memory.max", "104857600\n", 104857600),  # what a container sees
        (V2, "pod/box/memory.max", "max\n", 0),
        (V1, "memory/pod/box/memory.limit_in_bytes", "104857600\n", 104857600),
        (V1, "memory/memory.limit_in_bytes", "104857600\n", 104857600),
        (V1, "memory/pod/box/memory.limit_in_bytes", f"{NO_LIMIT_IN_V1}\n", 0),
        (V2, "nothing", "", 0),
    ],
)
def test_the_limit_of_the_control_group_is_found(
    tmp_path: Path, own: str, file: str, text: str, limit: int
) -> None:
    groups = tmp_path / "groups"
    (groups / file).parent.mkdir(parents=True)
    (groups / file).write_text(text)
    (tmp_path / "own").write_text(own)

    assert memory_limit(groups, tmp_path / "own") == limit
