"""``docker run`` as an accounting CLI: a container that can be found again by its run's name.

A killed ``docker run`` leaves its container running, and ``--rm`` takes away what it left behind (design,
"Settings"; libraries, "docker").
"""

import re
from typing import NamedTuple

LABEL = "globeco.allocation.run"
"""What every container of ours is labelled with; its value is the run's name."""

_ENGINES = {"docker", "podman"}
_GROUPS = {"container", "compose"}

# Every other option takes a value: from the next word, unless it stands behind a "=".
_ENGINE_SWITCHES = {
    "all-resources", "compatibility", "debug", "dry-run", "help", "noout", "remote", "syslog", "tls",
    "tlsverify", "transient-store", "verbose", "version",
}  # fmt: skip
_ENGINE_LETTERS = "Dvr"
_RUN_SWITCHES = {
    "build", "detach", "disable-content-trust", "env-host", "help", "http-proxy", "init", "interactive",
    "no-TTY", "no-deps", "no-healthcheck", "no-hostname", "no-hosts", "oom-kill-disable", "passwd",
    "privileged", "publish-all", "quiet", "quiet-build", "quiet-pull", "read-only", "read-only-tmpfs",
    "remove-orphans", "replace", "rm", "rmi", "rootfs", "service-ports", "sig-proxy", "tls-verify",
    "tty", "unsetenv-all", "use-aliases", "use-api-socket",
}  # fmt: skip
_RUN_LETTERS = "ditPqT"

_TRUE = "(?:1|t|T|TRUE|true|True)"  # what Go's strconv.ParseBool takes for true
_DETACHES = re.compile(rf"--detach(?:={_TRUE})?|-[itPqT]*d(?:={_TRUE}|(?!=).*)", re.DOTALL)
_REMOVES = re.compile(rf"--(?:rm|replace)(?:={_TRUE})?")


class ContainerWords(NamedTuple):
    """The words of a template that lead to its container.

    Attributes:
        engine: The engine and its options, to be followed by another command of it.
        name: The container's name.
    """

    engine: tuple[str, ...]
    name: str


class _Options(NamedTuple):
    each: tuple[tuple[str, ...], ...]  # an option, and its value where that is a word of its own
    length: int  # in words

    @property
    def name(self) -> str | None:
        """The container's given name, the last one as for the engine."""
        name = None
        for option, *value in self.each:
            if option == "--name":
                name = value[0] if value else ""
            elif option.startswith("--name="):
                name = option.removeprefix("--name=")
        return name


class _Run(NamedTuple):
    engine: tuple[str, ...]  # the words up to the engine and its options
    start: int  # of the options of ``run``
    options: _Options


def as_named_container(words: tuple[str, ...]) -> tuple[str, ...]:
    """Add a name and a label to a ``docker run``, and drop its ``--rm`` and ``--replace``.

    Other commands stay as they are.
    The engine need not come first: ``sudo docker run`` and ``env A=1 docker run`` are such commands too. What
    follows the image belongs to the program inside.

    Raises:
        ValueError: the container would be left to itself, or always have the same name.
    """
    run = _find_run(words)
    if run is None:
        return words
    image = run.start + run.options.length
    # Values too: should one follow a switch that is not known here, it is an option.
    if any(_DETACHES.fullmatch(word) for word in words[run.start : image]):
        raise ValueError("must not detach its container: a run ends when its program does")
    kept = tuple(word for option in run.options.each if not _REMOVES.fullmatch(option[0]) for word in option)
    name = run.options.name
    kept = ("--label", f"{LABEL}={{run}}", *kept)
    if name is None:
        kept = ("--name", "{run}", *kept)
    elif "{run}" not in name:
        raise ValueError("must name its container after {run}, or not at all: no two runs may share a name")
    return (*words[: run.start], *kept, *words[image:])


def container_of(words: tuple[str, ...]) -> ContainerWords | None:
    """Return how the container of a command from `as_named_container` is asked about, if it is one."""
    run = _find_run(words)
    return None if run is None else ContainerWords(run.engine, run.options.name or "{run}")


def _find_run(words: tuple[str, ...]) -> _Run | None:
    for at, word in enumerate(words):
        if word.rpartition("/")[2] not in _ENGINES:
            continue
        command = _after_engine_options(words, at + 1)
        run = command
        if words[command : command + 1] and words[command] in _GROUPS:
            run = _after_engine_options(words, command + 1)
        if words[run : run + 1] == ("run",):
            options = _options(words[run + 1 :], _RUN_SWITCHES, _RUN_LETTERS)
            return _Run(words[:command], run + 1, options)
    return None


def _after_engine_options(words: tuple[str, ...], start: int) -> int:
    return start + _options(words[start:], _ENGINE_SWITCHES, _ENGINE_LETTERS).length


def _options(words: tuple[str, ...], switches: set[str], letters: str) -> _Options:
    """Return the options before the first word that is neither one nor the value of one."""
    each: list[tuple[str, ...]] = []
    at = 0
    while at < len(words) and words[at].startswith("-"):
        length = 2 if _wants_value(words[at], switches, letters) else 1
        each.append(words[at : at + length])
        at += length
        if each[-1] == ("--",):
            break
    return _Options(tuple(each), min(at, len(words)))


def _wants_value(option: str, switches: set[str], letters: str) -> bool:
    """Whether the next word is the option's value."""
    if option.startswith("--"):
        return option != "--" and "=" not in option and option[2:] not in switches
    return len(option[1:].lstrip(letters)) == 1
