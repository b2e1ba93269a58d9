"""The file that says which output directory this is (design, "Lanes"). Every function here blocks."""

import os
from pathlib import Path
from uuid import UUID, uuid4

from globeco_allocation.adapters.local_files.draft import flush_directory, hidden_path

IDENTITY_FILE = ".globeco-allocation.id"

_MODE = 0o444
_LONGEST = 100


class UnusableIdentityError(Exception):
    """The identity file holds something else than an id."""


def identity_of(directory: Path) -> str:
    """Return the directory's identity; the first one who asks gives it one.

    Raises:
        OSError: it can be neither read nor made.
        UnusableIdentityError: somebody else wrote into the file.
    """
    try:
        return _read(directory)
    except FileNotFoundError:
        _make(directory)
        return _read(directory)  # ours, or that of whoever was faster


def _read(directory: Path) -> str:
    with (directory / IDENTITY_FILE).open("rb") as file:
        text = file.read(_LONGEST)
    try:
        return str(UUID(text.decode("ascii").strip()))
    except ValueError as error:
        raise UnusableIdentityError from error


def _make(directory: Path) -> None:
    """Write the file whole, under a hidden name, before it has its own: nobody reads half an id."""
    path = hidden_path(directory, IDENTITY_FILE)
    try:
        with path.open("xb") as file:
            file.write(f"{uuid4()}\n".encode())
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            os.fsync(file.fileno())
        try:
            os.link(path, directory / IDENTITY_FILE)
        except FileExistsError:
            return
        flush_directory(directory)
    finally:
        path.unlink(missing_ok=True)
