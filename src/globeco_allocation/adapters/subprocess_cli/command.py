"""``CLI_COMMAND``: a template that is split once and filled in argument by argument, without a shell."""

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields

from globeco_allocation.adapters.subprocess_cli.container import (
    ContainerWords,
    as_named_container,
    container_of,
)

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What the fields of a template stand for in one run; see `CommandTemplate`."""

    filename: str
    output_dir: str
    home: str
    run: str

    def filled_in(self, words: Sequence[str]) -> list[str]:
        """Return the words with every field replaced."""
        return [_FIELD.sub(lambda match: str(getattr(self, match[1])), word) for word in words]


@dataclass(frozen=True, slots=True)
class CommandTemplate:
    """How the accounting CLI is called (design, "Settings").

    Attributes:
        words: The program and its arguments, with their fields: ``{filename}`` is the bare name of the
            transaction file, ``{output_dir}`` its directory, in which the program also runs, ``{home}`` the
            service's home directory, ``{run}`` the run's unique name.

    >>> template = CommandTemplate.parse("portfolio-cli process --file {filename} --output-dir {output_dir}")
    >>> template.words[-2:]
    ('--output-dir', '{output_dir}')
    """

    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "CommandTemplate":
        """Read a template.

        Raises:
            ValueError: it cannot be used; the text says why, to be read after the setting's name.
        """
        try:
            words = shlex.split(text)
        except ValueError as error:
            # shlex says "No closing quotation" or "No escaped character".
            raise ValueError(f"cannot be split into words: {str(error).lower()}") from None
        if not words or not words[0]:
            raise ValueError("names no program")
        unknown = sorted({match[0] for word in words for match in _FIELD.finditer(word)} - _KNOWN)
        if unknown:
            raise ValueError(f"holds {', '.join(unknown)}; known are {', '.join(sorted(_KNOWN))}")
        return cls(as_named_container(tuple(words)))

    def require_filename(self) -> None:
        """Refuse a template that names no file: every run would load nothing, or the same thing again.

        Raises:
            ValueError: ``{filename}`` is missing.
        """
        if not any("{filename}" in word for word in self.words):
            raise ValueError("must hold {filename}")

    @property
    def program(self) -> str:
        """The program's bare name, for messages."""
        return os.path.basename(self.words[0])  # noqa: PTH119 - a word of a command, not a path

    def argv(self, values: Values) -> list[str]:
        """Return the argument vector of one run.

        The program is looked up from the service's own directory and ``PATH``, for the run has another
        working directory; what cannot be found is left as it is, and the start says so.
        """
        program, *arguments = values.filled_in(self.words)
        return [_found(program), *arguments]

    def container(self, values: Values) -> ContainerWords | None:
        """Return how the run's container is asked about; None where the run is a plain process."""
        words = container_of(self.words)
        if words is None:
            return None
        program, *options = values.filled_in(words.engine)
        (name,) = values.filled_in((words.name,))
        return ContainerWords((_found(program), *options), name)


_KNOWN = {f"{{{field.name}}}" for field in fields(Values)}


def _found(program: str) -> str:
    found = shutil.which(program) or program
    return os.path.abspath(found) if "/" in found else found  # noqa: PTH100 - a link in it stays as it is
