"""What the image is made from: a Dockerfile that a linter has nothing against, and pins by hashes that fit pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.deploy.tools import DEPLOY, TREE

CONTAINER = DEPLOY / "container"
DOCKERFILE = CONTAINER / "Dockerfile"
LOCKS = [CONTAINER / "requirements.txt", CONTAINER / "build-requirements.txt"]
_PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+)((?: --hash=sha256:[0-9a-f]{64})+)$")


def pins(text: str) -> dict[str, tuple[int, ...]]:
    """Names and versions. Every requirement of a lock must be one version, and carry hashes."""
    joined = re.sub(r"\\\n\s+", "", text)
    found = {}
    for line in joined.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            match = _PIN.match(line)
            assert match is not None, f"not a pin with hashes: {line[:80]}"
            found[match[1]] = _version(match[2])
    return found


def wanted(names: list[str]) -> dict[str, tuple[int, ...]]:
    """Names and floors of pyproject.toml's requirements, which are written `name>=floor[,<ceiling]`."""
    found = {}
    for requirement in names:
        match = re.match(r"([A-Za-z0-9-]+(?:\.[A-Za-z]+)?)>=([0-9.]+)", requirement)
        assert match is not None, requirement
        found[match[1].replace(".", "-").lower()] = _version(match[2])
    return found


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@pytest.fixture(scope="module")
def project() -> dict[str, list[str]]:
    with (TREE / "pyproject.toml").open("rb") as file:
        document = tomllib.load(file)
    described = document["project"]
    fast: list[str] = described["optional-dependencies"]["fast"]
    return {
        "requirements.txt": [*described["dependencies"], *fast],
        "build-requirements.txt": document["build-system"]["requires"],
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_what_pyproject_asks_for_is_pinned_at_or_above_its_floor(lock: Path, project: dict[str, list[str]]) -> None:
    found = pins(lock.read_text())
    for name, floor in wanted(project[lock.name]).items():
        assert found[name] >= floor, f"{name}: run the command in the first lines of {lock.name}"


def test_a_pin_without_a_hash_would_be_seen() -> None:
    text = re.sub(r" \\\n    --hash=.*", "", LOCKS[0].read_text(), count=1)
    text = re.sub(r"^    --hash=.*\n", "", text, flags=re.MULTILINE)
    with pytest.raises(AssertionError, match="not a pin with hashes"):
        pins(text)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_host(lock: Path) -> None:
    assert "://" not in lock.read_text()


def test_what_is_installed_is_held_to_its_hashes_and_is_never_built() -> None:
    installs = [line for line in DOCKERFILE.read_text().splitlines() if "pip" in line and " install " in line]
    assert installs
    for line in installs:
        assert ("--require-hashes" in line and "--only-binary=:all:" in line) or "--no-index" in line


def test_the_image_and_the_pod_mean_the_same_user_and_port() -> None:
    deployment = YAML(typ="safe", pure=True).load(DEPLOY / "kubernetes/base/deployment.yaml")
    spec = deployment["spec"]["template"]["spec"]
    user = spec["securityContext"]["runAsUser"]
    text = DOCKERFILE.read_text()
    assert f"USER {user}:{spec['securityContext']['runAsGroup']}" in text
    assert f"--chown={user}:{user}" in text
    assert f"EXPOSE {spec['containers'][0]['ports'][0]['containerPort']}" in text


def test_nothing_that_lies_beside_the_source_gets_into_the_image() -> None:
    lines = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert [rule for rule in rules if rule.startswith("!")] == [
        "!pyproject.toml", "!README.md", "!guardd", "!deploy/container/*requirements.txt",
    ]  # fmt: skip
