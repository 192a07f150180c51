"""What kustomize makes of `deploy/kubernetes`."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from tests.deploy.tools import DEPLOY, good, tool

KUBERNETES: Final = DEPLOY / "kubernetes"
PLACES: Final = ("base", "overlays/monitoring", "overlays/demo")
Document = dict[str, Any]


@cache
def text_of(place: str) -> str:
    return good(tool("kubectl"), "kustomize", KUBERNETES / place)


def documents(text: str) -> list[Document]:
    return [document for document in YAML(typ="safe", pure=True).load_all(text) if document]


@cache
def _parsed(place: str) -> list[Document]:
    return documents(text_of(place))


def of_kind(place: str, kind: str) -> list[Document]:
    return [deepcopy(document) for document in _parsed(place) if document["kind"] == kind]


def pod(place: str) -> Document:
    """The one pod template of a place."""
    (deployment,) = of_kind(place, "Deployment")
    template: Document = deployment["spec"]["template"]
    return template


def containers(place: str) -> Iterator[Document]:
    spec = pod(place)["spec"]
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def without_first_line(file: Path) -> str:
    """A policy's first line says where its schema is, which differs by place."""
    return file.read_text().partition("\n")[2]
