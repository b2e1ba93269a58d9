"""What attackers and operators need here: real services, and the HTTP app on twins."""

from tests.http.conftest import bench, client, fresh_logging
from tests.process.conftest import start_service

__all__ = ["bench", "client", "fresh_logging", "start_service"]
