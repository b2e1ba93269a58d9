"""The transaction file is there after a run, whatever the CLI does to its name and wherever we die."""

import errno
import os
from pathlib import Path

import pytest

from globeco_allocation.adapters.subprocess_cli.kept_input import DIRECTORY, KeptInputs

NAME = "transactions_20260302_160000_7.csv"


class Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / NAME
        self.file.write_bytes(b"header\nrow\n")
        self.kept = KeptInputs(directory)

    def hidden(self) -> list[str]:
        return sorted(path.name for path in (self.directory / DIRECTORY).iterdir())


@pytest.fixture(params=["links", "copies"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "copies":

        def no_links(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "link", no_links)
    return Place(tmp_path)


def test_a_deleted_file_has_its_name_again(place: Place) -> None:
    place.kept.keep(NAME)
    place.file.unlink()
    place.kept.restore(NAME)

    assert place.file.read_bytes() == b"header\nrow\n"
    assert place.hidden() == []


def test_a_file_that_stayed_is_left_alone(place: Place) -> None:
    before = place.file.stat().st_ino
    place.kept.keep(NAME)
    place.kept.restore(NAME)

    assert place.file.stat().st_ino == before
    assert place.hidden() == []


def test_after_a_crash_whoever_goes_on_with_the_file_restores_it(place: Place) -> None:
    place.kept.keep(NAME)
    place.file.unlink()
    KeptInputs(place.directory).restore(NAME)

    assert place.file.read_bytes() == b"header\nrow\n"
    assert place.hidden() == []


def test_another_files_second_name_is_left_alone(place: Place) -> None:
    (place.directory / "other.csv").write_bytes(b"other\n")
    place.kept.keep("other.csv")
    place.kept.keep(NAME)
    place.kept.restore(NAME)

    assert place.hidden() == ["other.csv"]


def test_a_copy_that_was_never_finished_is_made_anew(place: Place) -> None:
    place.kept.keep(NAME)
    place.kept.restore(NAME)
    part = place.directory / DIRECTORY / f".{NAME}.tmp"
    part.write_bytes(b"half a co")
    place.kept.keep(NAME)
    place.file.unlink()
    place.kept.restore(NAME)

    assert place.file.read_bytes() == b"header\nrow\n"


def test_keeping_twice_is_keeping_once(place: Place) -> None:
    place.kept.keep(NAME)
    place.kept.keep(NAME)

    assert place.hidden() == [NAME]


def test_a_file_that_is_gone_cannot_be_kept(place: Place) -> None:
    place.file.unlink()

    with pytest.raises(FileNotFoundError):
        place.kept.keep(NAME)
    assert place.hidden() == []


def test_nothing_to_restore_is_no_error(tmp_path: Path) -> None:
    KeptInputs(tmp_path).restore(NAME)

    assert not (tmp_path / NAME).exists()
