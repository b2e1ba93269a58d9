"""Transaction files in a local or mounted directory."""

from globeco_allocation.adapters.local_files.files import LocalFiles

__all__ = ["LocalFiles"]
