"""The accounting CLI's Jobs as the service makes them under an installation's settings."""

from typing import cast

import msgspec
from tests.kubernetes.job_runs import order_of
from tests.kubernetes.objects import Json
from tests.manifests.installations import Installation
from tests.manifests.settings_of import settings_of

from globeco_allocation.adapters.kubernetes_job.spec import job
from globeco_allocation.entrypoints.delivery_wiring import job_template


def job_of(installation: Installation) -> Json:
    """Return a Job, whether or not the installation starts any."""
    environment = installation.environment(installation.service_pod.container("globeco-allocation-service"))
    made = job(order_of(), job_template(settings_of(installation), environment))
    return cast("Json", msgspec.to_builtins(made))
