"""A real API server of Kubernetes takes the manifests, and gives the service the rights that it needs."""

import json
from collections.abc import Generator

import pytest
from tests.kubernetes.job_runs import order_of
from tests.kubernetes.objects import Json, parts
from tests.manifests.api_server import ApiServer, api_server, pod_of, why_not
from tests.manifests.installations import OVERLAYS, SERVICE, installation
from tests.manifests.settings_of import settings_of

from globeco_allocation.adapters.kubernetes_job.api import open_jobs_api
from globeco_allocation.adapters.kubernetes_job.patience import Patience
from globeco_allocation.entrypoints.delivery_wiring import job_template

pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not())

NAMESPACE = "globeco"
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


def definition(kind: str) -> Json:
    """A kind of the Prometheus operator's, of whatever shape."""
    plural = f"{kind.lower()}s"
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    group = "monitoring.coreos.com"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[ApiServer]:
    """A server with the namespace, which takes no pod that is not restricted, and what is in it by itself."""
    with api_server(tmp_path_factory.mktemp("api-server")) as server:
        about = {"name": NAMESPACE, "labels": RESTRICTED}
        server.does("apply", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": about})
        server.does("create", "serviceaccount", "default", "--namespace", NAMESPACE)
        for kind in ("ServiceMonitor", "PrometheusRule"):
            server.does("apply", "-f", "-", given=definition(kind))
        server.does("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        yield server


def listed(documents: list[Json]) -> Json:
    return {"apiVersion": "v1", "kind": "List", "items": documents}


@pytest.mark.parametrize("name", OVERLAYS)
def test_it_takes_every_document_and_warns_of_none(server: ApiServer, name: str) -> None:
    documents = installation(name).documents
    done = server.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-f", "-", given=json.dumps(listed(documents))
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(documents)


@pytest.mark.parametrize("name", OVERLAYS)
def test_it_takes_every_pod_where_only_restricted_ones_are_taken(server: ApiServer, name: str) -> None:
    found = installation(name)
    server.does("apply", "-f", "-", given=listed(found.all("ServiceAccount")))
    templates = [
        one for kind in found.all("StatefulSet") for one in parts(kind, "spec", "volumeClaimTemplates")
    ]
    claims = [one["metadata"]["name"] for one in templates]
    made = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    for number, pod in enumerate(found.pods):
        spec = pod.spec | {"restartPolicy": "Never", "volumes": parts(pod.spec, "volumes") + made}
        server.does("create", "--dry-run=server", "-f", "-", given=pod_of(f"pod-{number}", pod.labels, spec))


def test_it_takes_no_deployment_of_ours_over_the_go_implementation_s(server: ApiServer) -> None:
    labels = {"app": SERVICE}
    container = {"name": "go", "image": "kasbench/globeco-allocation-service-server:1.0.3"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
    }
    server.does("apply", "-f", "-", given=theirs | {"spec": spec})
    ours = json.dumps(installation("production").deployment)
    try:
        refused = server.kubectl("apply", "-f", "-", given=ours)
    finally:
        server.does("delete", "deployment", SERVICE, "--namespace", NAMESPACE)

    assert refused.returncode != 0
    assert "field is immutable" in refused.stderr
    server.does("apply", "--dry-run=server", "-f", "-", given=installation("production").deployment)


async def test_the_service_s_account_can_do_all_that_the_runner_does_and_nothing_else(
    server: ApiServer,
) -> None:
    found = installation("production")
    rights = [one for kind in ("ServiceAccount", "Role", "RoleBinding") for one in found.all(kind)]
    server.does("apply", "-f", "-", given=listed(rights))
    config = server.config_of(SERVICE, NAMESPACE)
    template = job_template(settings_of(found), found.environment(found.service_pod.container(SERVICE)))
    order = order_of()

    async with open_jobs_api(config, NAMESPACE, Patience()) as api:
        await api.reached()
        created = await api.create(order, template)
        assert await api.get(order.name) is not None
        assert [one.name for one in await api.ours(lambda _: True)] == [order.name]
        server.does("label", "job", order.name, "--namespace", NAMESPACE, "seen=yes")
        changes = api.changes(order.name, created.version)
        changed = await anext(changes)
        await changes.aclose()
    assert changed.labels["seen"] == "yes"

    account = f"--as=system:serviceaccount:{NAMESPACE}:{SERVICE}"
    for verb, resource in [
        *(("delete", "jobs"), ("deletecollection", "jobs"), ("update", "jobs"), ("patch", "jobs")),
        *(
            ("list", "pods"),
            ("get", "pods/log"),
            ("get", "secrets"),
            ("create", "pods"),
            ("list", "configmaps"),
        ),
    ]:
        asked = server.kubectl("auth", "can-i", verb, resource, "--namespace", NAMESPACE, account)
        assert asked.stdout.strip() == "no", (verb, resource)
    elsewhere = server.kubectl("auth", "can-i", "create", "jobs", "--namespace", "default", account)
    assert elsewhere.stdout.strip() == "no"
