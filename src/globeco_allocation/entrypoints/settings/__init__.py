# ruff: noqa: RUF009 (a setting is declared where a field has its default)
"""Everything an operator may set, read once from the environment (design, "Settings").

A setting is declared in one place, its field of `Settings` or of one of its groups. The loader,
``config check`` and the documentation's table are made from that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Self

from globeco_allocation.entrypoints.settings.groups.database import DatabaseSettings
from globeco_allocation.entrypoints.settings.groups.delivery import DeliverySettings
from globeco_allocation.entrypoints.settings.groups.http import HttpSettings
from globeco_allocation.entrypoints.settings.groups.kubernetes import KubernetesSettings
from globeco_allocation.entrypoints.settings.groups.tracing import TracingSettings
from globeco_allocation.entrypoints.settings.groups.trade_service import TradeServiceSettings
from globeco_allocation.entrypoints.settings.reading import SettingsError, read_settings
from globeco_allocation.entrypoints.settings.setting import (
    DECLARATION,
    Setting,
    number,
    one_of,
    setting,
    truth,
)


class LogLevel(StrEnum):
    """The least weight of a line that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# What deployments of the Go implementation may hold.
_ALSO = {"warn": LogLevel.WARNING, "fatal": LogLevel.ERROR, "panic": LogLevel.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(
    TracingSettings,
    KubernetesSettings,
    DeliverySettings,
    TradeServiceSettings,
    DatabaseSettings,
    HttpSettings,
):  # the other way round: a dataclass takes the fields of its last base first
    """The service's settings, all checked. A printed one shows no secret."""

    log_level: LogLevel = setting(
        "LOG_LEVEL", "info", one_of(LogLevel, _ALSO), "Least weight of a line that is logged"
    )
    metrics_enabled: bool = setting("METRICS_ENABLED", "true", truth(), "Whether `/metrics` answers")
    shutdown_grace_seconds: float = setting(
        "SHUTDOWN_GRACE_SECONDS",
        "25",
        number(1, 3600),
        "Longest way from SIGTERM to the end; keep it below the pod's grace period",
        unit="seconds",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; unknown variables are ignored.

        Raises:
            SettingsError: one or more variables hold what they may not; all of them are named.
        """
        reading = read_settings(declared(), environ)
        if reading.faults:
            raise SettingsError(reading.faults)
        return cls(**{name: found.value for name, found in reading.found.items()})


@cache
def declared() -> Mapping[str, Setting]:
    """Return every setting by the name of its field, in the order of declaration."""
    return {field.name: field.metadata[DECLARATION] for field in fields(Settings)}
