"""The PrometheusRule of the manifests: the rules of ``deploy/prometheus``, for the Prometheus operator.

``python -m tests.manifests.prometheus_rule`` writes it anew.
"""

from typing import Any, Final, cast

import yaml
from tests.manifests.installations import ROOT, SERVICE

SOURCES: Final = [ROOT / "deploy" / "prometheus" / name for name in ("recording.yaml", "alerts.yaml")]
FILE: Final = ROOT / "k8s" / "components" / "prometheus-operator" / "prometheus-rule.yaml"

_HEAD = """\
# Generated from deploy/prometheus/recording.yaml and alerts.yaml: change those, then run
#   python -m tests.manifests.prometheus_rule
"""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return cast("Any", dumper).represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def prometheus_rule() -> str:
    """Return the file's text."""
    groups: list[Any] = []
    for source in SOURCES:
        groups += yaml.safe_load(source.read_text("utf-8"))["groups"]
    labels = {"app.kubernetes.io/name": SERVICE, "app.kubernetes.io/part-of": "globeco"}
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": SERVICE, "labels": labels},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


if __name__ == "__main__":
    FILE.write_text(prometheus_rule(), "utf-8")
    print(FILE)
