"""Ask the service in this container whether it is alive: exit code 0 if so, else 1 and why.

``healthcheck.py [PATH]``: the default is ``/healthz``, which is 200 whatever the service is missing, so that
nobody restarts it over an outage of its database; ``/readyz`` says whether requests can be served now. As it
runs every few seconds, it loads next to nothing: ``python3 -I -S``, a socket, the answer's first line.
"""

import os
import socket
import sys

SECONDS = 2.5
"""Longest wait for each step: the engine gives up after 3."""

EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (names, nothing is bound)
"""Where a service is asked that listens at every address."""


def status_line(path: str) -> str:
    """Return the first line of the service's answer to a GET of *path*.

    Raises:
        OSError: nobody answers there.
        ValueError: the environment names no port.
    """
    said = os.environ.get("BIND_ADDRESS", "").strip()
    host = EVERY_ADDRESS.get(said, said)
    port = int(os.environ.get("PORT", "").strip() or 8089)
    with socket.create_connection((host, port), timeout=SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            return answer.readline(200).decode("latin-1").strip()


def main() -> int:
    """Ask, and say on one line what was answered; Docker keeps it beside the status."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/healthz"
    try:
        answered = status_line(path)
    except (OSError, ValueError, OverflowError) as error:
        print(f"{path}: {error}")
        return 1
    print(f"{path}: {answered}")
    return 0 if answered.split()[1:2] == ["200"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
