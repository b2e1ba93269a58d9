"""The token that commands bear which call a service over HTTP."""

import argparse
import os
from pathlib import Path

_LARGEST_BYTES = 4096


def add_token_option(parser: argparse.ArgumentParser) -> None:
    """Declare from which file the token comes; never from the command line, which everybody can see."""
    parser.add_argument(
        "--token-file",
        default=os.environ.get("API_TOKEN_FILE") or None,
        metavar="FILE",
        help="a file that holds the token for a service with API_TOKENS_FILE (default: API_TOKEN_FILE)",
    )


def authorization(token_file: str | None) -> str | None:
    """Return the value of the header ``Authorization``; None where no token is to be sent.

    Raises:
        ValueError: the file cannot be read, or holds no token; the message says so, without its content.
    """
    if token_file is None:
        return None
    try:
        with Path(token_file).open("rb") as stream:
            token = stream.read(_LARGEST_BYTES + 1).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"the token's file {token_file} cannot be read") from None
    if not token or len(token) > _LARGEST_BYTES or not token.isprintable() or " " in token:
        raise ValueError(f"the token's file {token_file} does not hold one token")
    return f"Bearer {token}"
