"""The output directory as the runs use it: what fails there, in words, and how a file is written to last."""

import errno
import os
from contextlib import suppress
from pathlib import Path

FILE_MODE = 0o664
HIDDEN_MODE = 0o2770

_REASONS = {
    errno.ENOENT: "the output directory is missing",
    errno.ENOTDIR: "the output directory is not a directory",
    errno.EROFS: "the output directory is read-only",
    errno.EACCES: "the output directory may not be written to",
    errno.ENOSPC: "no space is left in the output directory",
    errno.EDQUOT: "the output directory's quota is used up",
    errno.ENOLCK: "the output directory's file system gives no locks",
    errno.EOPNOTSUPP: "the output directory's file system has no locks",
}


def reason(error: OSError) -> str:
    """Say why the directory cannot be used, without a path."""
    return _REASONS.get(error.errno or 0) or f"the output directory cannot be used ({error.strerror})"


def make_hidden(path: Path) -> None:
    """Make a directory of our own in it, shared by its group, if it is missing.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        path.mkdir()
        path.chmod(HIDDEN_MODE)  # mkdir's mode is cut by the umask


def write_lasting(path: Path, content: bytes) -> None:
    """Write a file so that it stands whole or not at all, also after a power cut; replaces an older one.

    To be called by one process at a time for one path.

    Raises:
        OSError: it was not written.
    """
    part = path.with_name(f".{path.name}.tmp")
    part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    flush_directory(path.parent)


def flush_directory(path: Path) -> None:
    """Flush a directory's entries to disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
