"""Objects of the API as decoded JSON, whose absent parts are read as empty ones."""

from typing import Any

Json = dict[str, Any]


def part(thing: Json, *path: str) -> Json:
    """The object at this path, empty where there is none or null."""
    found = thing
    for key in path:
        found: Json = found.get(key) or {}
    return found


def parts(thing: Json, *path: str) -> list[Json]:
    """The list at this path, empty where there is none or null."""
    found: list[Json] | None = part(thing, *path[:-1]).get(path[-1])
    return found or []
