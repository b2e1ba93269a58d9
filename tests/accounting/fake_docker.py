"""A container engine's command line, as far as the runner uses it, to be copied to a file named ``docker``.

Its containers are real processes that outlive the command that started them, and inherit nothing of it. What
is known of each stands in a folder beside the program: ``containers/<name>/state.json``, and its two outputs.
The image's name is the path of a Python program.

Files beside it make trouble: ``away`` (the engine does not answer), ``slow-create`` (``run`` waits for it to
go before it makes its container). ``calls`` holds every command line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

HOME = Path(sys.argv[0]).resolve().parent
CONTAINERS = HOME / "containers"
VALUED = {"--name", "--label", "-v", "--network", "-e"}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def say(name: str, **changes: object) -> None:
    path = CONTAINERS / name / "state.json"
    state = {**(state_of(name) or {}), **changes}
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(state))
    part.rename(path)


def state_of(name: str) -> dict[str, Any] | None:
    path = CONTAINERS / name / "state.json"
    return json.loads(path.read_text()) if path.exists() else None


def fail(code: int, text: str) -> int:
    print(text, "See 'docker run --help'.", sep="\n", file=sys.stderr)
    return code


def run(arguments: list[str]) -> int:
    options: dict[str, str] = {}
    while arguments[0].startswith("-"):
        option = arguments.pop(0)
        options[option] = arguments.pop(0) if option in VALUED else ""
    while (HOME / "slow-create").exists():
        time.sleep(0.01)
    if arguments[0] == "absent":
        return fail(125, "docker: Error response from daemon: pull access denied")
    name = options["--name"]
    try:
        (CONTAINERS / name).mkdir(parents=True)
    except FileExistsError:
        return fail(125, f'docker: Error response from daemon: Conflict: the name "/{name}" is in use')
    say(name, Status="created", ExitCode=0, StartedAt="0001-01-01T00:00:00Z")
    if not Path(arguments[0]).exists():
        say(name, ExitCode=127)
        return fail(127, "docker: Error response from daemon: failed to create task")
    subprocess.Popen(
        [sys.executable, sys.argv[0], "_shim", name, *arguments],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def proxy(_number: int, _frame: FrameType | None) -> None:
        send(name, signal.SIGTERM)

    signal.signal(signal.SIGTERM, proxy)
    return attach(name)


def attach(name: str) -> int:
    told = {"stdout": 0, "stderr": 0}
    while True:
        state = state_of(name) or {}
        for kind, stream in (("stdout", sys.stdout.buffer), ("stderr", sys.stderr.buffer)):
            path = CONTAINERS / name / kind
            text = path.read_bytes()[told[kind] :] if path.exists() else b""
            stream.write(text)
            stream.flush()
            told[kind] += len(text)
        if state["Status"] == "exited":
            return int(state["ExitCode"])
        time.sleep(0.02)


def shim(name: str, *command: str) -> int:
    folder = CONTAINERS / name
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen([sys.executable, *command], cwd=HOME, stdout=out, stderr=err)
        say(name, Status="running", ExitCode=0, StartedAt=now(), Pid=process.pid)
        code = process.wait()
    say(name, Status="exited", ExitCode=128 - code if code < 0 else code)
    return 0


def send(name: str, number: int) -> int:
    state = state_of(name)
    if state is None or state["Status"] != "running":
        return 1
    os.kill(int(state["Pid"]), number)
    return 0


def stop(arguments: list[str]) -> int:
    _, grace, name = arguments
    send(name, signal.SIGTERM)
    deadline = time.monotonic() + int(grace)
    while (state_of(name) or {}).get("Status") == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    return send(name, signal.SIGKILL)


def ls(arguments: list[str]) -> int:
    wanted = arguments[arguments.index("--filter") + 1].removeprefix("name=^/?").removesuffix("$")
    if state_of(wanted) is not None:
        print(wanted)
    return 0


def inspect(arguments: list[str]) -> int:
    state = state_of(arguments[-1])
    if state is None:
        return fail(1, "Error: No such container")
    print(json.dumps(state))
    return 0


def logs(arguments: list[str]) -> int:
    folder = CONTAINERS / arguments[-1]
    for kind, stream in (("stdout", sys.stdout.buffer), ("stderr", sys.stderr.buffer)):
        stream.write((folder / kind).read_bytes())
    return 0


def ask(command: str, arguments: list[str]) -> int:
    if command == "kill":
        return send(arguments[0], signal.SIGKILL)
    if command == "prune":
        return 0
    return {"ls": ls, "inspect": inspect, "logs": logs, "stop": stop}[command](arguments)


def main(arguments: list[str]) -> int:
    with (HOME / "calls").open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    group, command, *rest = arguments
    if group == "_shim":
        return shim(command, *rest)
    if (HOME / "away").exists():
        return fail(125 if group == "run" else 1, "Cannot connect to the Docker daemon")
    return run([command, *rest]) if group == "run" else ask(command, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
