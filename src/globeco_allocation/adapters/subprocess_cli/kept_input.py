"""The transaction file stays, also when the CLI deletes its input (contract: accounting CLI, "Calling it").

Before a run the file gets a second name in a hidden directory beside it, after the run it has its own again.
When we die in between, the second name is still there, and whoever goes on with the file gives it its name
back. Only the holder of the lane's locks does, for runs of other lanes go on beside it.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from globeco_allocation.adapters.output_files.directory import make_hidden

DIRECTORY = ".kept"


class KeptInputs:
    """The second names, in *directory*'s hidden subdirectory.

    Every method blocks, and is for one process at a time for one file.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept = directory / DIRECTORY

    def keep(self, name: str) -> None:
        """Give the file a second name.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it cannot be kept.
        """
        make_hidden(self._kept)
        original, kept = self._directory / name, self._kept / name
        kept.unlink(missing_ok=True)
        try:
            os.link(original, kept)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links, or a file that is not ours
            self._copy(original, kept)

    def restore(self, name: str) -> None:
        """Give the file its name back if it has lost it, and drop the second one.

        Raises:
            OSError: it could not be done; the second name is still there.
        """
        original, kept = self._directory / name, self._kept / name
        if not os.path.lexists(original):
            with suppress(FileNotFoundError):
                kept.rename(original)
                return
        kept.unlink(missing_ok=True)

    def _copy(self, original: Path, kept: Path) -> None:
        part = self._kept / f".{kept.name}.tmp"
        try:
            part.unlink(missing_ok=True)  # a copy that was never finished
            shutil.copy2(original, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.rename(kept)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
