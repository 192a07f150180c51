"""Which deep checks were seen to pass on the tree as it is.

A deep check takes minutes (it boots a service manager, builds an image, drives a browser), so it runs again only where something
that it looks at changed: `deploy/checked.json` holds, for each file of checks, a digest of all that it depends on. Line ends and
the order of files don't matter; a file that is there or gone does.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from tests.deploy.tools import TREE

STAMPS: Final = TREE / "deploy" / "checked.json"
TOOLS: Final = ("tests/deploy/tools.py",)
DEPENDS: Final[dict[str, tuple[str, ...]]] = {
    "alerts/checks_live.py": (
        "deploy/prometheus/*",
        "deploy/alertmanager/*",
        "deploy/grafana/dashboards/*",
        "guardd/telemetry/gauges.py",
        "guardd/telemetry/metrics.py",
    ),
    "grafana/checks_types.py": ("deploy/grafana/**/*",),
    "image/checks_bill.py": ("deploy/container/*", "pyproject.toml"),
    "image/checks_build.py": ("deploy/container/*", "pyproject.toml"),
    "image/checks_lint.py": ("deploy/container/*",),
    "kubernetes/checks_scan.py": ("deploy/kubernetes/**/*", "deploy/prometheus/*.yaml"),
    "kubernetes/checks_valid.py": ("deploy/kubernetes/**/*", "deploy/prometheus/*.yaml", "deploy/grafana/**/*"),
    "page/checks_page.py": ("guardd/http/*",),
    "prometheus/checks_planted.py": ("deploy/prometheus/*", "tests/deploy/prometheus/cases/*"),
    "systemd/checks_boot.py": (
        "deploy/systemd/*",
        "deploy/trial/*",
        "deploy/prometheus/prometheus.yaml",
        "deploy/alertmanager/*",
        "config/policy.yaml",
        "guardd/daemon/service.py",
        "pyproject.toml",
    ),
}
"""Besides its own directory of tests. That guardd as such still works is what all the other tests ask.

The READMEs whose commands the boot check runs aren't here: their words change often, the commands seldom.
"""


def digest(check: str) -> str:
    """Of everything that this check looks at."""
    part = check.split("/", 1)[0]
    patterns = (*TOOLS, f"tests/deploy/{part}/*", *DEPENDS[check])
    summed = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in TREE.glob(pattern)}):
        if path.is_file() and path != STAMPS and "__pycache__" not in path.parts:
            summed.update(f"{path.relative_to(TREE)}\n".encode())
            summed.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return summed.hexdigest()


def stamped() -> dict[str, str]:
    """The digests at which each check was last seen to pass."""
    return dict(json.loads(STAMPS.read_text())) if STAMPS.exists() else {}


def due(checks: Iterable[str]) -> list[str]:
    """Those whose digest is another one than when they passed, the quick ones first."""
    known = stamped()
    return [check for check in checks if known.get(check) != digest(check)]


def stamp(check: str) -> None:
    """It passed on the tree as it is."""
    STAMPS.write_text(json.dumps({**stamped(), check: digest(check)}, indent=2, sort_keys=True) + "\n")
