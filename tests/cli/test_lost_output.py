"""Output that nobody can take ends a command with a message at most, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

# Without a buffer argparse itself would drop what cannot be written.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"], ["config", "table"]])
def test_a_reader_that_has_gone_is_no_traceback(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "globeco_allocation", *arguments]
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            command, stdout=pipe, stderr=subprocess.PIPE, env=BUFFERED, text=True, timeout=60, check=False
        )

    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_a_full_disk_is_told_in_a_line(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "globeco_allocation", *arguments]
    with FULL.open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=BUFFERED, text=True, timeout=60, check=False
        )

    assert done.returncode == 1
    assert done.stderr == "globeco-allocation: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_closed_standard_output_is_no_traceback(arguments: list[str]) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "globeco_allocation", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, env=BUFFERED, text=True, timeout=60, check=False)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
