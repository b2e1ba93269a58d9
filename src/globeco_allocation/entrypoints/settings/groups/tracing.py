# ruff: noqa: RUF009 (a setting is declared where a field has its default)
"""Traces: whether, where to, and how many."""

from dataclasses import dataclass
from enum import StrEnum

from globeco_allocation.entrypoints.settings.setting import (
    if_any,
    number,
    one_of,
    setting,
    truth,
    web_address,
    whole_number,
    words,
)


class TracesSampler(StrEnum):
    """Which traces are collected, by OpenTelemetry's names."""

    ALWAYS_ON = "always_on"
    ALWAYS_OFF = "always_off"
    TRACE_ID_RATIO = "traceidratio"
    PARENT_BASED_ALWAYS_ON = "parentbased_always_on"
    PARENT_BASED_ALWAYS_OFF = "parentbased_always_off"
    PARENT_BASED_TRACE_ID_RATIO = "parentbased_traceidratio"


@dataclass(frozen=True, kw_only=True)
class TracingSettings:
    """Where traces go. OpenTelemetry's SDK reads more of its variables by itself, such as certificates."""

    tracing_enabled: bool = setting(
        "TRACING_ENABLED",
        "true",
        truth(),
        "Whether traces are collected; only with an OTLP endpoint",
        alias="OBSERVABILITY_TRACING_ENABLED",
    )
    otel_sdk_disabled: bool = setting(
        "OTEL_SDK_DISABLED", "false", truth(), "The other way to collect no traces"
    )
    otel_traces_exporter: str = setting(
        "OTEL_TRACES_EXPORTER",
        "otlp",
        words("none, or anything else"),
        "The third way, with none; whatever else it holds counts as otlp",
    )
    otel_exporter_otlp_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        if_any(web_address()),
        "The OpenTelemetry collector, such as http://collector:4318; traces go to its /v1/traces",
        alias="OBSERVABILITY_OTEL_ENDPOINT",
    )
    otel_exporter_otlp_traces_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "",
        if_any(web_address()),
        "The whole address for traces, instead",
    )
    otel_exporter_otlp_protocol: str = setting(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/protobuf",
        words("http/protobuf"),
        "How the collector is spoken to: always HTTP",
    )
    otel_exporter_otlp_headers: str = setting(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "",
        words("names and values such as authorization=Bearer%20x, separated by commas"),
        "Headers for the collector",
        secret=True,
    )
    otel_service_name: str = setting(
        "OTEL_SERVICE_NAME",
        "",
        words("a name"),
        "How traces name the service; if empty, `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, or else "
        "globeco-allocation-service",
        alias="OBSERVABILITY_OTEL_SERVICE_NAME",
    )
    otel_resource_attributes: str = setting(
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        words("names and values such as deployment.environment.name=production, separated by commas"),
        "What stands beside every trace",
    )
    otel_traces_sampler: TracesSampler = setting(
        "OTEL_TRACES_SAMPLER",
        "parentbased_traceidratio",
        one_of(TracesSampler),
        "Which traces are collected; `parentbased` ones do as the caller does",
    )
    otel_traces_sampler_arg: float = setting(
        "OTEL_TRACES_SAMPLER_ARG",
        "1",
        number(0, 1),
        "Which share of them, for samplers with `traceidratio`",
        alias="OBSERVABILITY_TRACING_SAMPLING_RATIO",
    )
    otel_bsp_max_queue_size: int = setting(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "2048",
        whole_number(1, 100_000),
        "Spans that wait for the collector at most; more are dropped",
    )
    otel_bsp_max_export_batch_size: int = setting(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", whole_number(1, 100_000), "Spans sent at once at most"
    )
    otel_bsp_schedule_delay: int = setting(
        "OTEL_BSP_SCHEDULE_DELAY",
        "5000",
        whole_number(1, 600_000),
        "How long spans wait for more of them",
        unit="milliseconds",
    )

    @property
    def traces_go_to(self) -> str:
        """The whole address that traces go to; empty where they go nowhere."""
        if not self.tracing_enabled or self.otel_sdk_disabled or self.otel_traces_exporter == "none":
            return ""
        if self.otel_exporter_otlp_traces_endpoint:
            return self.otel_exporter_otlp_traces_endpoint
        endpoint = self.otel_exporter_otlp_endpoint
        return f"{endpoint}/v1/traces" if endpoint else ""
