"""What the accounting CLI inherits: our environment, less our settings and our secrets."""

from collections.abc import Mapping

_THE_CLIS_OWN = ("GLOBECO_PA_", "SIMULATED_ACCOUNTING_")
_OURS_BEGIN_WITH = (
    "BATCH_FILE_",
    "CLI_",
    "CORS_",
    "DATABASE_",
    "DB_",
    "DELIVERY_",
    "FILE_",
    "KUBERNETES_",
    "OBSERVABILITY_",
    "OTEL_",
    "PG",
    "PROMETHEUS_",
    "RETRY_",
    "SEND_",
    "TRADE_SERVICE_",
)
_OURS = frozenset(
    {
        "BIND_ADDRESS",
        "KUBECONFIG",
        "LOG_LEVEL",
        "MAX_CONNECTIONS",
        "MAX_REQUEST_BYTES",
        "METRICS_ENABLED",
        "MIGRATE_ON_START",
        "OUTPUT_DIR",
        "PORT",
        "SHUTDOWN_GRACE_SECONDS",
        "TRACEPARENT",  # of whoever started us; a run has its own
        "TRACESTATE",
        "TRACING_ENABLED",
        "WORKERS",
    }
)
_SECRET_WORDS = (
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "API_KEY",
    "APIKEY",
)


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run; the CLI's own variables (``GLOBECO_PA_...``) always pass.

    Neither does it learn where the cluster's API is, nor who we are to it.

    >>> child_environment({"PATH": "/bin", "DB_PASSWORD": "x", "GLOBECO_PA_SERVER_HOST": "accounting"})
    {'PATH': '/bin', 'GLOBECO_PA_SERVER_HOST': 'accounting'}
    """
    return {name: value for name, value in environment.items() if _passes(name.upper())}


def _passes(name: str) -> bool:
    if name.startswith(_THE_CLIS_OWN):
        return True
    if name in _OURS or name.startswith(_OURS_BEGIN_WITH):
        return False
    return not any(word in name for word in _SECRET_WORDS)
