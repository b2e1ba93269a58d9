"""Headers that keep a browser from doing harm with an answer.

There is no Strict-Transport-Security: the service speaks no TLS, and who ends TLS before it says that.
"""

from typing import Final

Headers = list[tuple[bytes, bytes]]

_POLICY = b"content-security-policy"
_CACHE = b"cache-control"

FOR_DATA: Final[Headers] = [
    # An answer is data, whatever a record may have brought into it: nothing in it runs, loads or is framed.
    (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (_CACHE, b"no-store"),  # positions and trades stay in no cache
]
"""What every answer has that says nothing else."""

OWN_FILES_ONLY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The policy of a page of ours: no inline script or style, and nothing loaded or called but this service."""

_OWN = frozenset({_POLICY, _CACHE, b"x-content-type-options", b"referrer-policy"})


def add_security_headers(headers: Headers) -> None:
    """Add those of `FOR_DATA` that *headers*, in lower case, lack: a page has a policy of its own."""
    for name, _ in headers:
        if name in _OWN:
            break
    else:
        headers += FOR_DATA
        return
    present = {name for name, _ in headers}
    headers += [one for one in FOR_DATA if one[0] not in present]
