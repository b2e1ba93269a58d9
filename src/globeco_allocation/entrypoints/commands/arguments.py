"""Words of the command line that several commands take."""

import argparse

LARGEST_ID = 2**31 - 1
"""The largest id that the database gives."""

_MOST_DIGITS = 10


class Subcommands:
    """What a command can do, each a word behind it.

    Args:
        parser: The command's.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)

    def add(self, name: str, about: str, more: str = "") -> argparse.ArgumentParser:
        """Add one.

        Args:
            name: Its word.
            about: What it does, for the list and for its own help.
            more: What its own help says besides.
        """
        sentence = f"{about[0].upper()}{about[1:]}."
        description = f"{sentence} {more}" if more else sentence
        return self._commands.add_parser(name, help=about, description=description, allow_abbrev=False)


def positive(text: str) -> int:
    """Read an id, or how many.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    number = _whole(text)
    if number is None or not 1 <= number <= LARGEST_ID:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {LARGEST_ID}")
    return number


def seconds(text: str) -> int:
    """Read how long.

    Raises:
        argparse.ArgumentTypeError: it is no number of seconds.
    """
    number = _whole(text)
    if number is None:
        raise argparse.ArgumentTypeError("must be a whole number of seconds")
    return number


def words(text: str) -> str:
    """Read what a person says.

    Raises:
        argparse.ArgumentTypeError: it says nothing.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("must say something")
    return text.strip()


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
