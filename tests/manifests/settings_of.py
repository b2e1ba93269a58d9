"""An installation's settings, read as the service in its pod reads them."""

import tempfile
from functools import cache
from pathlib import Path

import trustme
from tests.kubernetes.objects import parts
from tests.manifests.installations import Installation, PodTemplate

from globeco_allocation.entrypoints.settings import Settings


def settings_of(installation: Installation) -> Settings:
    """Return the settings of the service's container.

    Raises:
        SettingsError: with all that is wrong with them.
    """
    pod = installation.service_pod
    with tempfile.TemporaryDirectory() as directory:
        return Settings.load(
            environment_here(installation, pod, "globeco-allocation-service", Path(directory))
        )


def environment_here(
    installation: Installation, pod: PodTemplate, container: str, directory: Path
) -> dict[str, str]:
    """Return a container's environment, with the files of its secrets made in a directory here."""
    files = mounted_files(installation, pod, container)
    found = dict(installation.environment(pod.container(container)))
    for variable, value in found.items():
        if value in files:
            here = directory / variable
            here.write_text(_authority() if variable == "DB_SSL_ROOT_CERT_FILE" else files[value])
            found[variable] = str(here)
    return found


@cache
def _authority() -> str:
    """Return a certificate in place of the example's, which is none."""
    return trustme.CA().cert_pem.bytes().decode()


def mounted_files(installation: Installation, pod: PodTemplate, container: str) -> dict[str, str]:
    """Return the content of every file of a mounted secret by its path in the container."""
    secrets = {
        one["name"]: one["secret"]["secretName"] for one in parts(pod.spec, "volumes") if "secret" in one
    }
    return {
        f"{mount['mountPath']}/{key}": content
        for mount in parts(pod.container(container), "volumeMounts")
        if mount["name"] in secrets
        for key, content in installation.data("Secret", secrets[mount["name"]]).items()
    }
