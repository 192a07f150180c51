"""What kustomize builds, against the schemas of Kubernetes and the types of the Prometheus operator, to the last field."""

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.kubernetes.built import PLACES, Document, of_kind, text_of
from tests.deploy.tools import missing, ran, tool

pytestmark = pytest.mark.timeout(120)
OPERATOR_KINDS = {"PodMonitor", "PrometheusRule"}


def refused(text: str, home: Path) -> list[str]:
    """What a strict validator has against these documents. Kinds of the Prometheus operator are looked at elsewhere."""
    file = home / "built.yaml"
    file.write_text(text)
    done = ran(tool("kubernetes-validate"), "--strict", file)
    lines = (done.stdout + done.stderr).splitlines()
    assert any("passed for resource" in line for line in lines), done.stdout + done.stderr
    known = [f"kind {kind} " for kind in OPERATOR_KINDS]
    return [line for line in lines if "passed for resource" not in line and not any(kind in line for kind in known)]


@pytest.mark.parametrize("place", PLACES)
def test_every_document_is_valid_to_its_last_field(place: str, tmp_path: Path) -> None:
    assert refused(text_of(place), tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystems: true"),
        ("replicas: 1", "replicas: one"),
    ],
)
def test_a_mistake_in_a_document_would_be_seen(right: str, wrong: str, tmp_path: Path) -> None:
    text = text_of("base")
    assert right in text
    assert refused(text.replace(right, wrong), tmp_path) != []


def operator_model(document: Document) -> Any:
    try:
        from cloudcoil.models.prometheus_operator import v1
    except ImportError:
        missing("the package cloudcoil-models-prometheus-operator is not installed")
    return getattr(v1, document["kind"])


def round_trip(document: Document) -> Document:
    """Through the operator's own types and back: a field that they don't know is dropped on the way."""
    seen = operator_model(document).model_validate(document)
    told: Document = seen.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return told


@pytest.mark.parametrize("kind", sorted(OPERATOR_KINDS))
def test_what_the_prometheus_operator_reads_comes_back_as_it_was(kind: str) -> None:
    (document,) = of_kind("overlays/monitoring", kind)
    assert round_trip(document) == document


def test_a_field_that_the_operator_does_not_know_would_be_seen() -> None:
    (monitor,) = of_kind("overlays/monitoring", "PodMonitor")
    monitor["spec"]["podMetricsEndpoints"][0]["intervall"] = "5s"
    assert round_trip(monitor) != monitor
