"""``recover`` where manifests are missing or broken, and where something else has their names."""

import os

import pytest
from tests.recovery.place import Place


@pytest.fixture
def lost(place: Place) -> Place:
    """A batch of three parts, sent after the backup and lost with the database."""
    place.keep(5)
    place.back_up()
    place.keep(6)
    place.send(largest=4)
    place.lose_and_restore()
    return place


def test_the_middle_part_of_three_may_be_left_out(lost: Place) -> None:
    first, middle, last = lost.data_files()
    (lost.files / f"{middle}.executions.csv").unlink()

    refused = lost.run("--apply")
    assert refused.code == 1
    assert f"the file {middle} has no manifest" in refused.err
    said = lost.run("--apply", "--without-manifest", middle)

    assert said.code == 0, said
    assert lost.ask("SELECT file_name FROM delivery ORDER BY file_name") == [(first,), (last,)]


def test_a_part_that_is_missing_altogether_is_brought_back_from_a_copy(lost: Place) -> None:
    _, middle, _ = lost.data_files()
    (lost.files / f"{middle}.executions.csv").unlink()
    (lost.files / middle).unlink()
    refused = lost.run("--apply")

    assert refused.code == 1
    assert "its parts do not follow one another" in refused.err
    assert "Bring what is broken back from a copy of OUTPUT_DIR" in refused.err
    assert "restore the backup once more" not in refused.err


def test_a_second_loss_finds_what_the_first_recovery_moved_into_a_later_window(place: Place) -> None:
    place.keep(5)
    place.back_up()
    place.claim()
    place.keep(2)
    place.claim(lanes=2)
    place.prepare()
    for path in place.files.iterdir():
        if "_l" not in path.name:  # the first window's file never came to be
            path.unlink()
    place.sent = {key: row for key, row in place.sent.items() if key > 5}
    place.lose_and_restore()
    assert "5 executions of the backup never sent" in place.run("--apply").out
    place.send()
    place.check()
    assert len(place.sent) == 7
    place.lose_and_restore()

    said = place.run("--apply")
    assert said.code == 0, said
    place.check()
    assert "nothing to do" in place.run("--apply").out


def test_a_left_out_file_that_is_none_is_named(lost: Place) -> None:
    refused = lost.run("--apply", "--without-manifest", "transactions_20260302_150000_7.csv")

    assert refused.code == 1
    assert "transactions_20260302_150000_7.csv: there is no such file, or it has its manifest" in refused.err


@pytest.mark.parametrize("arguments", [["--output", "x"], ["--reconcile", "--without-manifest", "x"]])
def test_an_option_that_would_mean_nothing_is_a_wrong_command_line(lost: Place, arguments: list[str]) -> None:
    assert lost.run(*arguments).code == 2


@pytest.mark.parametrize("odd", ["folder", "pipe", "link"])
@pytest.mark.parametrize("suffix", [".executions.csv", ""])
def test_something_else_under_such_a_name_is_named(lost: Place, odd: str, suffix: str) -> None:
    name = f"transactions_20260302_150000_99.csv{suffix}"
    path = lost.files / name
    if odd == "folder":
        path.mkdir()
    elif odd == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    refused = lost.run("--apply")

    assert refused.code == 1
    assert name in refused.err
    assert "cannot be read: not a regular file" in refused.err


@pytest.mark.parametrize("content", ["", "portfolio,other\n1,2\n", "\x00\xff"])
def test_a_file_of_somebody_else_may_be_left_out(lost: Place, content: str) -> None:
    name = "transactions_20260302_150000_99.csv"
    (lost.files / name).write_text(content)

    assert lost.run("--apply").code == 1
    said = lost.run("--apply", "--without-manifest", name)
    assert said.code == 0, said
    (lost.files / name).unlink()
    lost.check()
