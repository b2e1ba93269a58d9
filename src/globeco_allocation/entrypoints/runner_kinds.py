"""What the settings may hold that choose how the accounting CLI is run."""

import re
from importlib.util import find_spec

from globeco_allocation.entrypoints.settings.setting import Kind, UnusableTextError, truth, whole_number

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_IMAGE = re.compile(r"[\w./:@-]+", re.ASCII)
_LONGEST_NAME = 253
_LARGEST_GROUP = 2**31 - 1


def command() -> Kind[str]:
    """Return the kind of a command line with placeholders, or nothing."""

    def read(text: str) -> str:
        if text:
            # Loaded only where a command is set: `--help` and `migrate` do without.
            from globeco_allocation.adapters.subprocess_cli.command import CommandTemplate  # noqa: PLC0415

            try:
                CommandTemplate.parse(text)
            except ValueError as error:
                raise UnusableTextError(str(error)) from error
        return text

    # That {filename} is there is judged beside the other settings: only where the command is used.
    return Kind(
        "a command with {filename} among its arguments, and {output_dir}, {home}, {run} at will", read
    )


def jobs_switch() -> Kind[bool]:
    """Return the kind of the switch for Kubernetes Jobs, whose library is an extra."""
    plain = truth()

    def read(text: str) -> bool:
        wanted = plain.read(text)
        if wanted and find_spec("lightkube") is None:
            raise UnusableTextError("needs the package's extra: install globeco-allocation[kubernetes]")
        return wanted

    return Kind(plain.allowed, read)


def namespace() -> Kind[str]:
    """Return the kind of a Kubernetes namespace's name: one label of a host name."""

    def read(text: str) -> str:
        if not _LABEL.fullmatch(text):
            raise ValueError(text)
        return text

    return Kind("a namespace's name: lower-case letters, digits and inner hyphens, at most 63", read)


def object_name(of: str) -> Kind[str]:
    """Return the kind of the name of a thing in a namespace, or nothing: labels of a host name, with dots.

    Args:
        of: What is named.
    """

    def read(text: str) -> str:
        if text and (len(text) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, text.split(".")))):
            raise ValueError(text)
        return text

    return Kind(f"the name of a {of}: lower-case letters, digits, inner hyphens and dots", read)


def group() -> Kind[int | None]:
    """Return the kind of a group's number, or nothing."""
    numbers = whole_number(0, _LARGEST_GROUP)

    def read(text: str) -> int | None:
        return numbers.read(text) if text else None

    return Kind(numbers.allowed, read)


def image() -> Kind[str]:
    """Return the kind of a container image's reference."""

    def read(text: str) -> str:
        if not _IMAGE.fullmatch(text):
            raise ValueError(text)
        return text

    return Kind("an image such as registry.example.org/cli:1.2", read)
