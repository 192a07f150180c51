"""The policy scanner over what kustomize builds, and over a copy with weaknesses that it must find."""

import json
from typing import Any

import pytest

from tests.deploy.kubernetes.built import PLACES, text_of
from tests.deploy.tools import ran, tool

pytestmark = pytest.mark.timeout(240)
TOLD = {"CKV_K8S_15", "CKV_K8S_43"}
"""Skipped, with the reason beside the skip in base/deployment.yaml."""
WEAKER = {
    "readOnlyRootFilesystem: true": "readOnlyRootFilesystem: false",
    "allowPrivilegeEscalation: false": "allowPrivilegeEscalation: true",
    "type: RuntimeDefault": "type: Unconfined",
}
Checks = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """One run over all places: most of its time is its start."""
    home = tmp_path_factory.mktemp("built")
    for place in PLACES:
        (home / f"{place.replace('/', '-')}.yaml").write_text(text_of(place))
    text = text_of("base")
    for right, wrong in WEAKER.items():
        assert right in text
        text = text.replace(right, wrong)
    (home / "weakened.yaml").write_text(text)
    done = ran(
        tool("checkov"), "-d", home, "--framework", "kubernetes", "--compact", "--skip-download", "-o", "json", cwd=home
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    found: Checks = report["results"]
    return found


def ids(results: Checks, outcome: str, file: str) -> set[str]:
    return {check["check_id"] for check in results[outcome] if check["file_path"].endswith(f"{file}.yaml")}


@pytest.mark.parametrize("place", PLACES)
def test_the_scanner_finds_nothing(place: str, results: Checks) -> None:
    file = place.replace("/", "-")
    passed = ids(results, "passed_checks", file)
    print(f"{place}: {len(passed)} kinds of checks passed")
    assert ids(results, "failed_checks", file) == set()
    assert ids(results, "skipped_checks", file) == TOLD
    assert len(passed) > 60


def test_a_weakness_would_be_found(results: Checks) -> None:
    assert {"CKV_K8S_20", "CKV_K8S_22", "CKV_K8S_31"} <= ids(results, "failed_checks", "weakened")
