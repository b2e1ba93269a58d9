"""Reading declared settings from an environment: every fault at once, and where each value came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from globeco_allocation.adapters.postgres.address import Pooler, SslMode
from globeco_allocation.entrypoints.api_tokens import read_tokens
from globeco_allocation.entrypoints.settings.setting import MASK, Setting, UnusableTextError, as_text

DEFAULT = "default"
"""The source of a value that no variable holds."""

PASSWORD, PASSWORD_FILE = "db_password", "db_password_file"
"""The fields of the two settings that name the database's password."""

COMMAND, KUBERNETES_ENABLED = "cli_command", "kubernetes_batch_enabled"
"""The fields of the command, and of the setting that keeps it from being used."""

POOLER, MIGRATE_ON_START = "db_pooler", "migrate_on_start"
"""The fields of the pooler, and of the setting that asks for what cannot be done through one."""

TRACING_ENABLED, SDK_DISABLED = "tracing_enabled", "otel_sdk_disabled"
"""The fields of the two settings that keep traces from being collected."""

ENDPOINTS = ("otel_exporter_otlp_traces_endpoint", "otel_exporter_otlp_endpoint")
"""The fields of where traces go; the first one counts."""

PROTOCOL, SPOKEN_PROTOCOL = "otel_exporter_otlp_protocol", "http/protobuf"
"""The field of the collector's protocol, and the only one that we speak."""

SSL_MODE, ROOT_CERT_FILE = "db_ssl_mode", "db_ssl_root_cert_file"
"""The fields of TLS to the database, and of what its certificate is judged by."""

TOKENS_FILE = "api_tokens_file"
"""The field of the file of tokens."""

_LARGEST_FILE = 64 * 1024
_LARGEST_CERT_FILE = 4 * 1024 * 1024  # a whole system's authorities have some 200 KiB


@dataclass(frozen=True, slots=True)
class SettingFault:
    """One variable that holds what it may not hold.

    Attributes:
        variable: Its name.
        holds: Its text, without secrets.
        allowed: What it may hold.
        reason: What is wrong, to be read after the name; empty where *allowed* tells it.
    """

    variable: str
    holds: str
    allowed: str
    reason: str = ""

    def __str__(self) -> str:
        holds = self.holds if self.holds == MASK else repr(self.holds)
        if self.reason:
            return f"{self.variable} {self.reason} (it holds {holds}; it may hold {self.allowed})"
        return f"{self.variable} holds {holds}; it may hold {self.allowed}"


class SettingsError(Exception):
    """The environment holds settings that cannot be used.

    Attributes:
        faults: All of them, in the order of declaration; never empty.
    """

    def __init__(self, faults: tuple[SettingFault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Found:
    """A setting's value and where it came from.

    Attributes:
        value: Checked; it may be a secret, so this is not printed as it stands.
        source: A variable's name, or `DEFAULT`.
    """

    value: Any
    source: str

    def __repr__(self) -> str:
        return f"Found(from {self.source})"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an environment holds.

    Attributes:
        found: By the name of the field, in the order of declaration; without the faulty ones.
        faults: In the order of declaration.
    """

    found: Mapping[str, Found]
    faults: tuple[SettingFault, ...]


def read_settings(declared: Mapping[str, Setting], environ: Mapping[str, str]) -> Reading:
    """Read every declared setting, and the password's file; judge what depends on another setting last."""
    found: dict[str, Found] = {}
    faults: list[SettingFault] = []
    for name, setting in declared.items():
        source, text = _find(setting, environ)
        try:
            found[name] = Found(setting.kind.read(text), source)
        except ValueError as error:
            told = isinstance(error, UnusableTextError) and not setting.secret
            reason = setting.shown(str(error)) if told else ""
            faults.append(SettingFault(source, setting.shown(text), setting.kind.allowed, reason))
    later = (
        _judge_command(declared, found),
        _judge_migrations(declared, found),
        _judge_tracing(declared, found),
        _read_password_file(declared, found),
        _judge_root_cert(declared, found),
        _judge_tokens(declared, found),
    )
    return Reading(found, (*faults, *(fault for fault in later if fault is not None)))


def _find(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that counts, or `DEFAULT`, and its text."""
    for variable in setting.names:
        text = environ.get(variable)
        if text is None:
            continue
        if not setting.secret:
            text = text.strip()  # a line end from a file or a manifest means nothing
        if text or setting.may_be_empty:
            return variable, text
    return DEFAULT, setting.default


def _judge_command(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Refuse a command that names no file; the deployed chart has one, beside Kubernetes settings."""
    command, kubernetes = found.get(COMMAND), found.get(KUBERNETES_ENABLED)
    if command is None or kubernetes is None:
        return None  # the fault that keeps one of them from being known is told
    if not command.value or kubernetes.value or "{filename}" in command.value:
        return None
    allowed = declared[COMMAND].kind.allowed
    return SettingFault(command.source, command.value, allowed, "must hold {filename}")


def _judge_migrations(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Refuse to migrate through a pooler, also where the default alone asks for it."""
    pooler, migrate = found.get(POOLER), found.get(MIGRATE_ON_START)
    if pooler is None or migrate is None:
        return None  # the fault that keeps one of them from being known is told
    if pooler.value == Pooler.NONE or not migrate.value:
        return None
    setting = declared[MIGRATE_ON_START]
    variable = setting.name if migrate.source == DEFAULT else migrate.source
    reason = (
        f"must be false with {pooler.source}={pooler.value}, for migrations need a session of their own: run "
        "`globeco-allocation migrate` with DB_HOST and DB_PORT of the server itself, and "
        f"{pooler.source}={Pooler.NONE}"
    )
    return SettingFault(variable, as_text(migrate.value), setting.kind.allowed, reason)


def _judge_tracing(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Refuse a collector that could not be told anything; where none is to be told, nothing matters."""
    if not {TRACING_ENABLED, SDK_DISABLED, *ENDPOINTS} <= found.keys():
        return None  # the fault that keeps one of them from being known is told
    endpoint = next((name for name in ENDPOINTS if found[name].value), None)
    if endpoint is None or not found[TRACING_ENABLED].value or found[SDK_DISABLED].value:
        return None
    there, protocol = found[endpoint], found[PROTOCOL]
    if protocol.value != SPOKEN_PROTOCOL:
        reason = f"is not spoken here: name the collector's HTTP port in {there.source}, as a rule 4318"
        return SettingFault(protocol.source, protocol.value, SPOKEN_PROTOCOL, reason)
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        reason = (
            "needs the package's extra: install globeco-allocation[tracing], or set TRACING_ENABLED=false"
        )
        return SettingFault(there.source, there.value, declared[endpoint].kind.allowed, reason)
    return None


def _read_password_file(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Put the file's content in the password's place."""
    file = found[PASSWORD_FILE]
    if not file.value:
        return None
    password = found[PASSWORD]
    if password.value:
        return SettingFault(password.source, MASK, declared[PASSWORD].kind.allowed)
    try:
        content = _whole(Path(file.value), _LARGEST_FILE).decode()
    except (OSError, ValueError):
        return SettingFault(file.source, file.value, declared[PASSWORD_FILE].kind.allowed)
    found[PASSWORD] = Found(content.removesuffix("\n").removesuffix("\r"), file.source)
    return None


def _judge_tokens(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Refuse a file of tokens that would keep somebody out whom it is meant to let in."""
    file = found[TOKENS_FILE]
    if not file.value:
        return None
    try:
        read = read_tokens(Path(file.value))
    except (OSError, ValueError):
        reason = "cannot be read"
    else:
        reason = "; ".join(read.faults) or ("" if read.tokens else "holds no token")
    allowed = declared[TOKENS_FILE].kind.allowed
    return SettingFault(file.source, file.value, allowed, reason) if reason else None


def _judge_root_cert(declared: Mapping[str, Setting], found: dict[str, Found]) -> SettingFault | None:
    """Find out now what each connection would fail of, and what would look safer than it is."""
    mode, file = found.get(SSL_MODE), found[ROOT_CERT_FILE]
    if mode is None:
        return None  # that fault is told
    setting = declared[ROOT_CERT_FILE]
    variable = setting.name if file.source == DEFAULT else file.source
    mode_said = f"{declared[SSL_MODE].name}={mode.value}"
    if not file.value:
        reason = f"must be set with {mode_said}" if mode.value.verifies else ""
    elif mode.value in {SslMode.DISABLE, SslMode.PREFER}:
        reason = f"has no meaning with {mode_said}, which takes any server: set verify-full, or unset it"
    else:
        reason = _fault_of_certificates(Path(file.value))
    return SettingFault(variable, file.value, setting.kind.allowed, reason) if reason else None


def _fault_of_certificates(file: Path) -> str:
    """Say what keeps a file from being used as one of certificates; nothing when it can be."""
    import ssl  # noqa: PLC0415 (only where it is asked for)

    try:
        content = _whole(file, _LARGEST_CERT_FILE).decode("ascii", errors="replace")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
    except (ssl.SSLError, ValueError):
        return "holds no certificate in PEM form"
    except OSError:
        return "cannot be read"
    return ""


def _whole(file: Path, most_bytes: int) -> bytes:
    """Return a text file's content.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long, or no text.
    """
    with file.open("rb") as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes or b"\0" in content:
        raise ValueError("too long, or no text")
    return content
