"""One setting: where it stands, how its text is read, and what may stand there."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)

MASK = "******"
"""Shown in place of a secret."""

DECLARATION = "setting"
"""Where a field's metadata holds its `Setting`."""

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
# Within an address, or before a host's name; an image's digest is no host.
_USER_INFO = re.compile(r"//\S*@|^[^\s/@]+:[^\s/@]*@(?!sha256:)")
_QUERY = re.compile(r"(?<=[?#])\S+")

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


class UnusableTextError(ValueError):
    """A setting's text cannot be used; this says why, to be read after the setting's name."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a setting's text means.

    Attributes:
        allowed: What it may be, for a person.
        read: Makes the value of a text without blanks around it; raises ValueError when it is none, and
            `UnusableTextError` where *allowed* alone would not tell the fault.
    """

    allowed: str
    read: Callable[[str], T]


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is declared: once, for the loader, ``config check`` and the documentation.

    Attributes:
        name: The environment variable that holds it.
        default: The text that counts when no variable is set.
        kind: How its text is read.
        meaning: What it does.
        unit: Of the number; empty for none.
        alias: Another variable that holds it, of what is deployed today; *name* beats it.
        secret: Whether its value is never shown.
        may_be_empty: Whether an empty text has a meaning; otherwise it counts as not set.
    """

    name: str
    default: str
    kind: Kind[Any]
    meaning: str
    unit: str = ""
    alias: str = ""
    secret: bool = False
    may_be_empty: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that may hold it; the first that is set counts."""
        return (self.name, self.alias) if self.alias else (self.name,)

    def shown(self, text: str) -> str:
        """Return *text* as it may be printed: no secret, no credentials or query of an address."""
        if self.secret:
            return MASK if text else ""
        text = _USER_INFO.sub(lambda one: f"{'//' if one[0].startswith('//') else ''}{MASK}@", text)
        return _QUERY.sub(MASK, text) if "://" in text else text


def setting(
    name: str,
    default: str,
    kind: Kind[T],
    meaning: str,
    *,
    unit: str = "",
    alias: str = "",
    secret: bool = False,
    may_be_empty: bool = False,
) -> T:
    """Declare a field of a dataclass as a setting; see `Setting`.

    For a type checker it is the field's default, as `dataclasses.field` is.
    """
    declaration = Setting(name, default, kind, meaning, unit, alias, secret, may_be_empty)
    return field(default=kind.read(default), repr=not secret, metadata={DECLARATION: declaration})


def as_text(value: object) -> str:
    """Write a setting's value the way it stands in the environment."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.9f}".rstrip("0").rstrip(".")
        case tuple():
            return ",".join(str(part) for part in cast("tuple[object, ...]", value))
        case _:
            return str(value)


def whole_number(smallest: int, largest: int) -> Kind[int]:
    """Take integers from *smallest* to *largest*."""

    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text) or not smallest <= int(text) <= largest:
            raise ValueError(text)
        return int(text)

    return Kind(f"a whole number from {smallest} to {largest}", read)


def number(smallest: float, largest: float) -> Kind[float]:
    """Take decimal numbers from *smallest* to *largest*."""

    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not smallest <= float(text) <= largest:
            raise ValueError(text)
        return float(text)

    return Kind(f"a number from {smallest:g} to {largest:g}", read)


def truth() -> Kind[bool]:
    """Take true, 1, yes, false, 0 and no, in any case."""

    def read(text: str) -> bool:
        word = text.lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(text)
        return word in _TRUE

    return Kind("true or false", read)


def one_of(choices: type[Choice], also: Mapping[str, Choice] | None = None) -> Kind[Choice]:
    """Take one of the words of *choices*, in any case; and those of *also*, which mean one of them."""
    by_word = {choice.value.lower(): choice for choice in choices} | dict(also or {})

    def read(text: str) -> Choice:
        if text.lower() not in by_word:
            raise ValueError(text)
        return by_word[text.lower()]

    return Kind(_either([choice.value for choice in choices]), read)


def words(allowed: str) -> Kind[str]:
    """Take any text; *allowed* says what it is."""
    return Kind(allowed, str)


def host() -> Kind[str]:
    """Take a host's name or address."""

    def read(text: str) -> str:
        if re.search(r"[\s/@]", text):  # messages name the host: no password may stand before it
            raise ValueError(text)
        return text

    return Kind("a host name or an IP address", read)


def host_or_socket() -> Kind[str]:
    """Take a host's name or address, or the absolute path of a directory with a unix socket."""

    def read(text: str) -> str:
        if "@" in text:
            raise ValueError(text)
        return text if text.startswith("/") else host().read(text)

    return Kind("a host name, an IP address, or the absolute path of a unix socket's directory", read)


def path() -> Kind[Path]:
    """Take a path; a relative one counts from where the program was started."""

    def read(text: str) -> Path:
        if "\0" in text:
            raise ValueError(text)
        return Path(text).absolute()

    return Kind("a path", read)


def web_address() -> Kind[str]:
    """Take an http or https address without credentials, query or fragment; a last slash is cut off."""

    def read(text: str) -> str:
        parts = _split(text)
        if parts.query or parts.fragment:
            raise ValueError(text)
        return text.rstrip("/")

    return Kind("an address such as http://host:8082, without user, query or fragment", read)


def if_any(kind: Kind[str]) -> Kind[str]:
    """Take nothing, too."""

    def read(text: str) -> str:
        return kind.read(text) if text else ""

    return Kind(f"{kind.allowed}; or nothing", read)


def origins() -> Kind[tuple[str, ...]]:
    """Take web origins separated by commas, or ``*`` alone."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(",") if part.strip())
        if found == ("*",):
            return found
        for origin in found:
            parts = _split(origin)
            if parts.path or parts.query or parts.fragment:
                raise ValueError(text)
        return found

    return Kind("origins such as https://portal.example.org, separated by commas; or * alone", read)


def _split(text: str) -> SplitResult:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError(text)
    if re.search(r"[\s\\]", text) or parts.port == 0:
        raise ValueError(text)
    return parts


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
