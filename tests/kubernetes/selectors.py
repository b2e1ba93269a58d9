"""Label and field selectors as the API reads them from a query."""

import re
from collections.abc import Callable

from tests.kubernetes.objects import Json, part
from tests.kubernetes.statuses import bad_request

Selector = Callable[[Json], bool]
_SET = re.compile(r"\s*(?P<key>[^\s,()!=]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*")
_EQUAL = re.compile(r"\s*(?P<key>[^\s,()!=]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()!=]*)\s*")
_THERE = re.compile(r"\s*(?P<no>!?)(?P<key>[^\s,()!=]+)\s*")


def labels_selected(text: str) -> Selector:
    """The Jobs that `labelSelector` picks: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`.

    Raises:
        RefusedError: 400, it cannot be read.
    """
    wanted = [_label(one) for one in _parts(text)]

    def selected(job: Json) -> bool:
        labels: dict[str, str] = part(job, "metadata", "labels")
        return all(one(labels) for one in wanted)

    return selected


def fields_selected(text: str) -> Selector:
    """The Jobs that `fieldSelector` picks, by `metadata.name` or `metadata.namespace`.

    Raises:
        RefusedError: 400, it cannot be read or names another field.
    """
    wanted: list[tuple[str, bool, str]] = []
    for one in _parts(text):
        match = _EQUAL.fullmatch(one)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{one}'")
        if match["key"] not in {"metadata.name", "metadata.namespace"}:
            raise bad_request(f"field label not supported: {match['key']}")
        wanted.append((match["key"].removeprefix("metadata."), match["op"] != "!=", match["value"]))

    def selected(job: Json) -> bool:
        return all((job["metadata"][field] == value) is equal for field, equal, value in wanted)

    return selected


def _parts(text: str) -> list[str]:
    """The selector cut at its commas, but not at those within brackets."""
    return [one for one in re.split(r",(?![^(]*\))", text) if one.strip()]


def _label(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.fullmatch(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.fullmatch(text):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _THERE.fullmatch(text):
        key, wanted = match["key"], not match["no"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f"unable to parse requirement: {text!r}")
