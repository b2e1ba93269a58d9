"""Bearer tokens: who may call the API, for clusters without a mesh that would know.

A file holds one token a line: a name, a right, and the token's SHA-256. The token itself is nowhere here, so
whoever reads the file cannot call the service. A plain digest is enough: tokens are made by `new_token`, from
256 random bits that nobody can try through.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LARGEST_FILE_BYTES = 64 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_PREFIX = "globeco_"  # so that scanners for secrets can know one
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


class Right(StrEnum):
    """What a token is good for.

    Attributes:
        READ: Every GET of the API.
        SEND: Everything, reading too: whoever sends has to see what came of it.
    """

    READ = "read"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is known here.

    Attributes:
        name: Whose it is; for the log. Two tokens may share it while one takes the other's place.
        right: What it is good for.
    """

    name: str
    right: Right


@dataclass(frozen=True, slots=True)
class TokenFile:
    """What a file of tokens holds.

    Attributes:
        tokens: By their SHA-256.
        faults: What is wrong, with the line's number and without anything that stands there.
    """

    tokens: Mapping[bytes, Token]
    faults: tuple[str, ...]


def new_token() -> str:
    """Make a token that nobody else has."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(token: bytes) -> bytes:
    """Return what a token is known by."""
    return hashlib.sha256(token).digest()


def line_of(name: str, right: Right, token: str) -> str:
    """Return the line by which a token is known."""
    return f"{name} {right} sha256:{digest(token.encode()).hex()}"


def read_tokens(file: Path) -> TokenFile:
    """Read a file of tokens; empty lines and those that begin with ``#`` mean nothing.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than `LARGEST_FILE_BYTES`, or no text.
    """
    with file.open("rb") as stream:
        content = stream.read(LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError("too large")
    tokens: dict[bytes, Token] = {}
    faults: list[str] = []
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        fault = _fault(words)
        if fault:
            faults.append(f"line {number} {fault}")
            continue
        name, right, known_by = words
        key = bytes.fromhex(known_by.removeprefix("sha256:"))
        if key in tokens:
            faults.append(f"line {number} holds a token that an earlier line holds")
            continue
        tokens[key] = Token(name, Right(right))
    return TokenFile(tokens, tuple(faults))


def _fault(words: list[str]) -> str:
    """Say what is wrong with a line; nothing of it is repeated, for it may hold a token."""
    if len(words) != 3:  # noqa: PLR2004 (as the message says)
        return "is not a name, a right and a digest"
    name, right, known_by = words
    if not NAME.fullmatch(name):
        return "has a name that is not 1 to 63 letters, digits, dots, underscores and hyphens"
    if right not in {one.value for one in Right}:
        return "has a right that is neither read nor send"
    if not _SHA256.fullmatch(known_by):
        return "has no sha256:<64 hex digits>; `globeco-allocation token NAME RIGHT` makes one"
    return ""
