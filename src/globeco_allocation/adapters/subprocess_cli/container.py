"""``docker run`` as an accounting CLI: a container that can be found again by its run's name.

A killed ``docker run`` leaves its container running, and ``--rm`` takes away what it left behind (design,
"Settings"; libraries, "docker").
"""

import re

_ENGINES = {"docker", "podman"}
_DETACHES = re.compile(r"--detach(=true)?|-[itPq]*d[itdPq]*")


def as_named_container(words: tuple[str, ...]) -> tuple[str, ...]:
    """Add ``--name {run}`` to a ``docker run``, and drop its ``--rm``; other commands stay as they are.

    Raises:
        ValueError: the container would be left to itself, or always have the same name.
    """
    start = _options_start(words)
    if start is None:
        return words
    end = next((at for at, word in enumerate(words) if "{filename}" in word), len(words))
    options = words[start:end]
    if any(_DETACHES.fullmatch(option) for option in options):
        raise ValueError("must not detach its container: a run ends when its program does")
    kept = tuple(option for option in options if option not in {"--rm", "--rm=true"})
    name = _given_name(kept)
    if name is None:
        kept = ("--name", "{run}", *kept)
    elif "{run}" not in name:
        raise ValueError("must name its container after {run}, or not at all: no two runs may share a name")
    return (*words[:start], *kept, *words[end:])


def kills_container(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the words that end the container of a command from `as_named_container`, if it is one."""
    start = _options_start(words)
    if start is None:
        return None
    return (*words[: start - 1], "kill", _given_name(words[start:]) or "{run}")


def _options_start(words: tuple[str, ...]) -> int | None:
    if words[0].rpartition("/")[2] not in _ENGINES or "run" not in words:
        return None
    return words.index("run") + 1


def _given_name(options: tuple[str, ...]) -> str | None:
    for option, following in zip(options, (*options[1:], ""), strict=True):
        if option == "--name":
            return following
        if option.startswith("--name="):
            return option.removeprefix("--name=")
    return None
