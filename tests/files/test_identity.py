"""A replica whose output directory is not the shared one writes nothing, and says so."""

import asyncio
import os
import stat
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.files.rows import everything

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.local_files.identity import IDENTITY_FILE, identity_of
from globeco_allocation.adapters.memory.clock import MemoryClock
from globeco_allocation.adapters.memory.database import MemoryDatabase
from globeco_allocation.adapters.memory.output_directory import MemoryOutputDirectory
from globeco_allocation.domain import FileNotWrittenError, StoreUnavailableError
from globeco_allocation.ports.output_directory import LAPSES_AFTER


class Cluster:
    """Replicas of one database, and its clock."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.database = MemoryDatabase(self.clock)

    def replica(self, directory: Path, name: str) -> LocalFiles:
        return LocalFiles(directory, MemoryOutputDirectory(self.database), replica=name)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def made(path: Path) -> Path:
    path.mkdir()
    return path


async def test_replicas_of_one_directory_agree(cluster: Cluster, directory: Path) -> None:
    await asyncio.gather(*(cluster.replica(directory, f"replica-{number}").check() for number in range(8)))

    shared = cluster.database.output_directory
    assert shared is not None
    assert (directory / IDENTITY_FILE).read_text() == f"{shared.identity}\n"
    assert UUID(shared.identity).version == 4
    assert everything(directory) == [IDENTITY_FILE], "nothing half made is left"


async def test_a_directory_keeps_its_identity(cluster: Cluster, directory: Path) -> None:
    await cluster.replica(directory, "replica-1").check()
    before = identity_of(directory)
    cluster.clock.step(10 * LAPSES_AFTER)
    await cluster.replica(directory, "replica-2").check()

    assert identity_of(directory) == before


async def test_a_replica_with_another_directory_is_told_what_to_do(
    cluster: Cluster, directory: Path, tmp_path: Path
) -> None:
    await cluster.replica(directory, "replica-1").check()
    astray = cluster.replica(made(tmp_path / "other"), "replica-2")

    with pytest.raises(FileNotWrittenError) as caught:
        await astray.check()
    said = str(caught.value)
    assert "OUTPUT_DIR is not the directory that the other replicas share" in said
    assert "last seen by replica-1 at 2026-03-02 15:00:00 UTC" in said
    assert "/" not in said
    await cluster.replica(directory, "replica-1").check()


async def test_a_directory_made_anew_heals_by_itself(cluster: Cluster, directory: Path) -> None:
    replica = cluster.replica(directory, "replica-1")
    await replica.check()
    (directory / IDENTITY_FILE).unlink()
    cluster.clock.step(LAPSES_AFTER - timedelta(seconds=1))
    with pytest.raises(FileNotWrittenError):
        await replica.check()
    cluster.clock.step(timedelta(seconds=1))

    await replica.check()


async def test_an_identity_that_somebody_spoilt_is_told(cluster: Cluster, directory: Path) -> None:
    replica = cluster.replica(directory, "replica-1")
    await replica.check()
    (directory / IDENTITY_FILE).unlink()
    (directory / IDENTITY_FILE).write_bytes(b"\xff" * 1000)

    with pytest.raises(FileNotWrittenError, match="holds no id: remove that file"):
        await replica.check()


async def test_what_cannot_be_known_lets_nobody_write(cluster: Cluster, directory: Path) -> None:
    cluster.database.available = False

    with pytest.raises(StoreUnavailableError):
        await cluster.replica(directory, "replica-1").check()


async def test_an_identity_is_readable_for_all_and_whole_before_it_has_its_name(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[bool] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        flushed.append((directory / IDENTITY_FILE).exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    identity_of(directory)

    assert flushed == [False, True]
    assert stat.S_IMODE((directory / IDENTITY_FILE).stat().st_mode) == 0o444


async def test_a_lone_replica_leaves_no_identity(directory: Path) -> None:
    await LocalFiles(directory).check()

    assert everything(directory) == []
