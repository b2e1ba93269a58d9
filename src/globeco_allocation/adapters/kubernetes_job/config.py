"""Where the Kubernetes API is, and who we are to it; always told explicitly."""

import os
from pathlib import Path

import msgspec
import yaml
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from globeco_allocation.domain.errors import CliNotStartedError

_UNREADABLE = (
    ConfigError,
    OSError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    msgspec.MsgspecError,
    yaml.YAMLError,
)


def kube_config(service_account: Path = Path(SERVICE_ACCOUNT)) -> SingleConfig:
    """Return the pod's service account, or outside of a pod what the file ``KUBECONFIG`` says.

    Raises:
        CliNotStartedError: neither is there, or it cannot be used; the message says what to do.
    """
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        try:
            return _current(KubeConfig.from_service_account(service_account))
        except _UNREADABLE as error:
            raise CliNotStartedError(
                "no Kubernetes Job can be started: the pod's service account token cannot be read; mount it"
            ) from error
    file = os.environ.get("KUBECONFIG")
    if not file:
        raise CliNotStartedError(
            "no Kubernetes Job can be started: this is no pod (KUBERNETES_SERVICE_HOST is not set), and"
            " KUBECONFIG names no file"
        )
    try:
        return _current(KubeConfig.from_file(file))
    except _UNREADABLE as error:
        raise CliNotStartedError(
            "no Kubernetes Job can be started: the file that KUBECONFIG names cannot be used"
        ) from error


def _current(config: KubeConfig) -> SingleConfig:
    context = config.get()
    if context is None:
        raise ConfigError("there is no current context")
    return context
