"""The transaction file stays, also when the CLI deletes its input (contract: accounting CLI, "Calling it").

Before a run the file gets a second name in a hidden directory beside it, after the run it has its own again.
When we die in between, the second name is still there, and the next turn gives the file its name back.
"""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

DIRECTORY = ".kept"
_MODE = 0o770


class KeptInputs:
    """The second names, in *directory*'s hidden subdirectory; to be used by one process at a time.

    Every method blocks.
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
        self._kept.mkdir(_MODE, exist_ok=True)
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

    def restore_all(self) -> None:
        """Restore what runs left behind whose parent died.

        Raises:
            OSError: as `restore`.
        """
        with suppress(FileNotFoundError), os.scandir(self._kept) as entries:
            for name in [entry.name for entry in entries]:
                if name.startswith("."):  # a copy that was never finished
                    (self._kept / name).unlink(missing_ok=True)
                else:
                    self.restore(name)

    def _copy(self, original: Path, kept: Path) -> None:
        part = self._kept / f".{secrets.token_hex(8)}"
        try:
            shutil.copy2(original, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.rename(kept)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
