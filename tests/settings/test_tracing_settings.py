"""Where traces go, and what keeps a collector from being told anything."""

import pytest

from globeco_allocation.entrypoints.settings import Settings, reading
from globeco_allocation.entrypoints.settings.reading import SettingsError

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


def fault(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    return str(caught.value)


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, ""),
        (ENDPOINT, "http://collector:4318/v1/traces"),
        ({"OBSERVABILITY_OTEL_ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces/here"}, "https://traces/here"),
        ({**ENDPOINT, "TRACING_ENABLED": "false"}, ""),
        ({**ENDPOINT, "OBSERVABILITY_TRACING_ENABLED": "false"}, ""),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, ""),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp"}, "http://collector:4318/v1/traces"),
    ],
)
def test_traces_go_to_the_endpoint_unless_they_are_switched_off(
    environ: dict[str, str], address: str
) -> None:
    assert Settings.load(environ).traces_go_to == address


def test_an_endpoint_without_the_extra_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(_: str) -> None:
        return None

    monkeypatch.setattr(reading, "find_spec", find_nothing)

    assert fault(**ENDPOINT).startswith(
        "OTEL_EXPORTER_OTLP_ENDPOINT needs the package's extra: install globeco-allocation[tracing], or set"
    )
    assert Settings.load({**ENDPOINT, "TRACING_ENABLED": "false"}).traces_go_to == ""


def test_a_protocol_that_is_not_spoken_is_a_fault_where_traces_go_anywhere() -> None:
    assert fault(**ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL="grpc").startswith(
        "OTEL_EXPORTER_OTLP_PROTOCOL is not spoken here: name the collector's HTTP port in "
        "OTEL_EXPORTER_OTLP_ENDPOINT, as a rule 4318"
    )
    assert Settings.load({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).traces_go_to == ""


def test_an_address_without_a_scheme_is_a_fault() -> None:
    assert fault(OBSERVABILITY_OTEL_ENDPOINT="10.0.0.1:4317").startswith("OBSERVABILITY_OTEL_ENDPOINT holds")


def test_the_share_of_traces_may_be_set_as_it_is_today() -> None:
    found = Settings.load({"OBSERVABILITY_TRACING_SAMPLING_RATIO": "0.25"})

    assert (found.otel_traces_sampler, found.otel_traces_sampler_arg) == ("parentbased_traceidratio", 0.25)


def test_headers_for_the_collector_are_never_shown() -> None:
    assert "s3cret" not in repr(Settings.load({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret"}))
