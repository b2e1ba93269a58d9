"""``python -m tests.manifests DIRECTORY``: write what the overlays render to, where there is no kustomize."""

import sys
from pathlib import Path

import yaml
from tests.manifests.installations import installation

directory = Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
for name in ("dev", "production"):
    file = directory / f"{name}.yaml"
    text: str = yaml.safe_dump_all(installation(name).documents, sort_keys=False)
    file.write_text(text, "utf-8")
    print(f"{file}: {len(installation(name).documents)} documents")
