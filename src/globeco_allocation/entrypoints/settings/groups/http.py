"""What the service says of its own port."""

from dataclasses import dataclass

from globeco_allocation.entrypoints.settings.setting import host, origins, setting, whole_number, words


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """How callers reach the service."""

    port: int = setting("PORT", "8089", whole_number(0, 65535), "The service's port; 0 takes a free one")
    bind_address: str = setting(
        "BIND_ADDRESS",
        "0.0.0.0",  # noqa: S104 (a pod is reached from outside)
        host(),
        "Where the service listens; 127.0.0.1: for this machine alone",
    )
    workers: int = setting(
        "WORKERS", "1", whole_number(1, 32), "Processes that serve the port, each like a replica of its own"
    )
    max_request_bytes: int = setting(
        "MAX_REQUEST_BYTES",
        "1048576",
        whole_number(1024, 64 * 1024 * 1024),
        "Largest request body; a larger one is answered 413",
        unit="bytes",
    )
    max_connections: int = setting(
        "MAX_CONNECTIONS",
        "500",
        whole_number(16, 100_000),
        "Open connections of one process; for one more, the one that kept us waiting longest is closed",
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        "CORS_ALLOWED_ORIGINS",
        "",
        origins(),
        "Web origins whose pages may call the service; none if empty",
        may_be_empty=True,
    )
    api_tokens_file: str = setting(
        "API_TOKENS_FILE",
        "",
        words("the path of a readable file, each line NAME RIGHT sha256:DIGEST"),
        "Tokens without which the API answers 401, read again when it changes; open to all if empty",
    )
