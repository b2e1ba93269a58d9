"""What the output directory can refuse, in words that hold no path."""

import errno

from globeco_allocation.domain.errors import FileNotWrittenError

_REASONS = {
    errno.EEXIST: "another one with other content has its name: move that one away",
    errno.ENOSPC: "no space is left in the output directory",
    errno.EDQUOT: "the output directory's quota is used up",
    errno.EFBIG: "the file would be larger than this process may write",
    errno.EROFS: "the output directory is read-only",
    errno.EACCES: "the output directory may not be written to",
    errno.EPERM: "the output directory may not be written to, or its file system has no hard links",
    errno.EOPNOTSUPP: "the output directory's file system has no hard links",
    errno.ENOENT: "the output directory is missing",
    errno.ENOTDIR: "the output directory is not a directory",
    errno.ESTALE: "the output directory is not the one any more that was mounted",
}
_READING = {errno.EACCES: "it may not be read", errno.ELOOP: "it is not a file"}


class Explained:
    """Turns an OSError into the domain's words.

    Args:
        what: What did not happen, such as ``the file a.csv was not written``.
        reading: Whether it was to be read.
    """

    def __init__(self, what: str, *, reading: bool = False) -> None:
        self._what = what
        self._reasons = _REASONS | _READING if reading else _REASONS

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise `FileNotWrittenError` for an OSError."""
        if isinstance(error, OSError):
            reason = self._reasons.get(error.errno or 0, "the output directory failed")
            raise FileNotWrittenError(f"{self._what}: {reason}") from error
