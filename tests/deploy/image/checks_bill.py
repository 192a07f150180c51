"""The bill of materials: made from the image's lock by one command, it names every dependency with its version and its hash."""

import json
import os
import re
from pathlib import Path
from typing import Any

from tests.deploy.image.test_files import LOCKS, pins
from tests.deploy.tools import DEPLOY, TREE, good, tool

LOCK = LOCKS[0]


def command() -> list[str]:
    """As deploy/README.md tells it, so that what is tried here is what a user types."""
    (line,) = re.findall(r"^(cyclonedx-py .*)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    return [str(word) for word in line.split()]


def bill(lock: Path, place: Path, *more: str) -> dict[str, Any]:
    """What the documented command writes of this lock; `--no-validate` saves six seconds of looking at its own form."""
    written = place / "guardd.cdx.json"
    words = command()
    words[words.index(str(LOCK.relative_to(TREE)))] = str(lock)
    words[words.index("guardd.cdx.json")] = str(written)
    good(tool(words[0]), *words[1:], *more, environ=dict(os.environ))
    document: dict[str, Any] = json.loads(written.read_text())
    return document


def named(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["version"] for each in document["components"]}


def test_the_bill_names_every_dependency_its_version_and_its_hash(tmp_path: Path) -> None:
    document = bill(LOCK, tmp_path)
    versions = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK.read_text(), re.MULTILINE))
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "guardd"
    assert named(document) == versions
    assert set(named(document)) == set(pins(LOCK.read_text()))
    for each in document["components"]:
        hashes = [one for place in each.get("externalReferences", ()) for one in place.get("hashes", ())]
        assert any(one["alg"] == "SHA-256" for one in [*hashes, *each.get("hashes", ())]), each["name"]


def test_a_dependency_that_the_bill_lacks_would_be_seen(tmp_path: Path) -> None:
    shorter = tmp_path / "requirements.txt"
    joined = re.sub(r"\\\n\s+", "", LOCK.read_text())
    shorter.write_text("\n".join(line for line in joined.splitlines() if not line.startswith("aiohttp==")))
    assert set(pins(LOCK.read_text())) - set(named(bill(shorter, tmp_path, "--no-validate"))) == {"aiohttp"}


def test_two_bills_of_one_lock_are_the_same(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    first.mkdir()
    second.mkdir()
    assert bill(LOCK, first, "--no-validate") == bill(LOCK, second, "--no-validate")
