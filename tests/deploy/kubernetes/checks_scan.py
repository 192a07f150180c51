"""The policy scanner over what kustomize builds."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes.built import PLACES, text_of
from tests.deploy.tools import ran, tool

pytestmark = pytest.mark.timeout(180)
TOLD = {"CKV_K8S_15", "CKV_K8S_43"}
"""Skipped, with the reason beside the skip in base/deployment.yaml."""


def scanned(text: str, home: Path) -> dict[str, Any]:
    file = home / "built.yaml"
    file.write_text(text)
    done = ran(
        tool("checkov"), "-f", file, "--framework", "kubernetes", "--compact", "--skip-download", "-o", "json", cwd=home
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def ids(report: dict[str, Any], outcome: str) -> set[str]:
    return {check["check_id"] for check in report["results"][outcome]}


@pytest.mark.parametrize("place", PLACES)
def test_the_scanner_finds_nothing(place: str, tmp_path: Path) -> None:
    report = scanned(text_of(place), tmp_path)
    print(place, report["summary"])
    assert ids(report, "failed_checks") == set()
    assert ids(report, "skipped_checks") == TOLD
    assert report["summary"]["passed"] > 80
    assert report["summary"]["parsing_errors"] == 0


def test_a_weakness_would_be_found(tmp_path: Path) -> None:
    text = text_of("base")
    for right, wrong in (
        ("runAsNonRoot: true", "runAsNonRoot: false"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
    ):
        assert right in text
        text = text.replace(right, wrong)
    assert {"CKV_K8S_20", "CKV_K8S_22", "CKV_K8S_23"} <= ids(scanned(text, tmp_path), "failed_checks")
