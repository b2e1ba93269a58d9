"""What stands in for ``kubectl``: it asks the test, which starts and stops real processes.

A command in a pod is run here, in the environment of a replica. It is run as a file, by its path, with the
standard library alone.
"""

import json
import os
import socket
import sys

_ADDRESS = "FAKE_KUBECTL"


def main() -> int:
    """Have one command carried out.

    Returns:
        Its exit code; a command in a pod takes the place of this process instead.
    """
    given = sys.stdin.read() if "-" in sys.argv else ""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[_ADDRESS])
        connection.sendall(json.dumps({"arguments": sys.argv[1:], "stdin": given}).encode() + b"\n")
        with connection.makefile() as stream:
            answer = json.loads(stream.readline())
    if "run" in answer:
        os.execvpe(answer["run"][0], answer["run"], answer["environment"])  # noqa: S606
    sys.stdout.write(answer["out"])
    sys.stderr.write(answer["err"])
    return int(answer["code"])


if __name__ == "__main__":
    raise SystemExit(main())
