"""What can be chosen about the HTTP entrypoint."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """Limits and switches of the HTTP entrypoint.

    Attributes:
        max_body_bytes: The largest request body; 413 above it.
        cors_allowed_origins: Origins whose pages may read answers, such as ``https://portal.example``; none
            by default, ``*`` for all.
        send_wait_seconds: How long a send is waited for, counted from the request's arrival.
        receive_grace_seconds: How long the end waits for records whose caller has hung up.
        readiness_seconds: How long the checks behind ``/readyz`` may take.
        metrics_enabled: Whether ``/metrics`` is there.
        api_tokens_file: The file of the tokens without which the API is closed; empty leaves it open.
    """

    max_body_bytes: int = 1_048_576
    cors_allowed_origins: tuple[str, ...] = ()
    send_wait_seconds: float = 8.0
    receive_grace_seconds: float = 5.0
    readiness_seconds: float = 5.0
    metrics_enabled: bool = True
    api_tokens_file: str = ""
