"""What uv.lock says will be in the image."""

import tomllib
from collections.abc import Iterable
from typing import Any

from packaging.markers import Marker
from packaging.tags import cpython_tags
from packaging.utils import parse_wheel_filename
from tests.image.files import ROOT

PLATFORMS = ("x86_64", "aarch64")
"""The processors of linux/amd64 and linux/arm64."""

_PYTHON = (3, 13)
_GLIBC_MINORS = range(17, 42)  # manylinux: Debian 13, the base, has 2.41


def installed_packages(extras: Iterable[str]) -> list[dict[str, Any]]:
    """Return the lock's entries of everything that the project with *extras* needs on Linux."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    by_name = {package["name"]: package for package in lock["package"]}
    found: dict[str, dict[str, Any]] = {}
    wanted = [("globeco-allocation", tuple(extras))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while wanted:
        name, chosen = wanted.pop()
        if (name, chosen) in seen:
            continue
        seen.add((name, chosen))
        package = found[name] = by_name[name]
        needs = list(package.get("dependencies", ()))
        for extra in chosen:
            needs += package.get("optional-dependencies", {}).get(extra, ())
        wanted += [(need["name"], tuple(need.get("extra", ()))) for need in needs if _applies(need)]
    del found["globeco-allocation"]
    return list(found.values())


def usable_wheels(package: dict[str, Any], processor: str) -> list[str]:
    """Return the addresses of the wheels that the image's Python can use on a processor."""
    manylinux = [f"manylinux_2_{minor}_{processor}" for minor in _GLIBC_MINORS]
    legacy = [f"manylinux2014_{processor}", f"manylinux2010_{processor}", f"manylinux1_{processor}"]
    usable = {*cpython_tags(_PYTHON, platforms=[*manylinux, *legacy])}
    addresses = [wheel["url"] for wheel in package.get("wheels", ())]
    return [address for address in addresses if _fits(address, {str(tag) for tag in usable})]


def _fits(address: str, usable: set[str]) -> bool:
    tags = parse_wheel_filename(address.rsplit("/", 1)[-1])[3]
    return any(str(tag) in usable or (tag.platform == "any" and tag.abi == "none") for tag in tags)


def _applies(need: dict[str, Any]) -> bool:
    version = ".".join(map(str, _PYTHON))
    linux = {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    return "marker" not in need or Marker(need["marker"]).evaluate(linux)
