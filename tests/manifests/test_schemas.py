"""The API of Kubernetes 1.33 takes every document: it knows each field, and each has the right type."""

import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from tests.kubernetes.objects import Json, parts
from tests.manifests.accounting_jobs import job_of
from tests.manifests.installations import ALL, DIRECTORIES, OVERLAYS, ROOT, installation

KUBERNETES = "1.33"
OPERATORS = "monitoring.coreos.com/v1"
"""The Prometheus operator's kinds, of which the API itself knows nothing."""


def fault(document: Json) -> str:
    """Return what is wrong with a document; empty when nothing is."""
    return _fault(json.dumps(document, sort_keys=True))


@cache  # most documents are the same in every installation, and a look takes a while
def _fault(text: str) -> str:
    try:
        kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""


@pytest.mark.parametrize("name", ALL)
def test_the_api_knows_every_field(name: str) -> None:
    for document in installation(name).documents:
        if document["apiVersion"] != OPERATORS:
            assert fault(document) == "", document["metadata"]["name"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_api_knows_every_field_of_the_jobs_that_the_service_starts(name: str) -> None:
    assert fault(job_of(installation(name))) == ""


def test_an_unknown_field_and_a_wrong_type_are_seen() -> None:
    document = copy.deepcopy(installation("production").deployment)
    document["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1
    assert "terminationGraceSeconds" in fault(document)

    document = copy.deepcopy(installation("production").deployment)
    document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = "45"
    assert "spec.template.spec.terminationGracePeriodSeconds" in fault(document)


DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["selector", "endpoints"],
    "properties": {
        "selector": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"matchLabels": {"type": "object"}},
        },
        "endpoints": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["port", "path"],
                "properties": {
                    "port": {"type": "string"},
                    "path": {"type": "string", "pattern": "^/"},
                    "interval": DURATION,
                    "scrapeTimeout": DURATION,
                },
            },
        },
    },
}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
PROMETHEUS_RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["groups"],
    "properties": {
        "groups": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "rules"],
                "properties": {
                    "name": {"type": "string"},
                    "interval": DURATION,
                    "rules": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["expr"],
                            "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
                            "properties": {
                                "alert": {"type": "string"},
                                "record": {"type": "string"},
                                "expr": {"type": ["string", "integer"]},
                                "for": DURATION,
                                "keep_firing_for": DURATION,
                                "labels": TEXTS,
                                "annotations": TEXTS,
                            },
                        },
                    },
                },
            },
        }
    },
}
SHAPES: dict[str, Any] = {"ServiceMonitor": SERVICE_MONITOR, "PrometheusRule": PROMETHEUS_RULE}
"""As much of the operator's definitions as the manifests use."""


def test_the_operator_s_kinds_have_its_shape() -> None:
    documents = [one for one in installation("production").documents if one["apiVersion"] == OPERATORS]

    assert documents
    for document in documents:
        jsonschema.validate(document["spec"], SHAPES[document["kind"]])


def test_no_file_is_left_out() -> None:
    named: set[Path] = set()
    for path in [
        *(ROOT / "k8s").rglob("kustomization.yaml"),
        DIRECTORIES["everything"] / "kustomization.yaml",
    ]:
        wanted = yaml.safe_load(path.read_text("utf-8"))
        patches = [one["path"] for one in parts(wanted, "patches")]
        envs = [env for one in parts(wanted, "configMapGenerator") for env in parts(one, "envs")]
        for name in [*parts(wanted, "resources"), *parts(wanted, "components"), *patches, *envs]:
            file = (path.parent / str(name)).resolve()
            named.add(file / "kustomization.yaml" if file.is_dir() else file)
    there = {one for one in (ROOT / "k8s").rglob("*") if one.is_file() and one.suffix in {".yaml", ".env"}}

    not_named = {
        DIRECTORIES["dev"] / "kustomization.yaml",
        DIRECTORIES["production"] / "secrets.example.yaml",
    }
    assert there - named == not_named


def test_the_readme_names_every_component_and_overlay() -> None:
    text = (ROOT / "k8s" / "README.md").read_text("utf-8")
    components = {one.name for one in (ROOT / "k8s" / "components").iterdir()}
    overlays = {one.name for one in (ROOT / "k8s" / "overlays").iterdir()}

    assert {name for name in components if f"| `{name}` |" not in text} == set()
    assert {name for name in overlays if f"| `overlays/{name}` |" not in text} == set()


def test_the_command_writes_each_overlay_as_it_is_to_be_applied(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.manifests", str(tmp_path)], check=True, cwd=ROOT)

    for name in ("dev", "production"):
        written = list(yaml.safe_load_all((tmp_path / f"{name}.yaml").read_text("utf-8")))
        assert written == installation(name).documents
