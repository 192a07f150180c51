"""The machine that the figures are of."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def described() -> str:
    """One line: model, cores, kernel, Python and the libraries that matter, and how busy it was."""
    packages = ", ".join(f"{name} {_version(name)}" for name in ("aiohttp", "uvloop", "msgspec"))
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{_model()}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, "
        f"Python {sys.version.split()[0]}, {packages}; load {load}"
    )


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
