"""A page for each alert, an alert for each page, and in each page what somebody needs who was just woken."""

import re
from typing import Final

import pytest

from guardd.cli.app import PLACES
from tests.deploy.prometheus.rules import RUNBOOKS, alerts

SECTIONS: Final = ["Symptom", "Meaning", "Action", "Verification"]
NAMES: Final = sorted(alert.name for alert in alerts())


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert sorted(page.stem for page in RUNBOOKS.glob("Guardd*.md")) == NAMES


def test_the_list_of_pages_has_all_of_them() -> None:
    listed = re.findall(r"\]\((Guardd\w+)\.md\)", (RUNBOOKS / "README.md").read_text())
    assert sorted(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_is_seen_what_it_means_what_to_do_and_how_to_know_that_it_is_over(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    bodies = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert all(len(body.split()) >= 5 for body in bodies), "a section is nearly empty"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_only_commands_that_guardd_has(name: str) -> None:
    named = set(re.findall(r"`guardd ([a-z]+)", (RUNBOOKS / f"{name}.md").read_text()))
    assert named - PLACES.keys() == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_points_only_to_pages_that_exist(name: str) -> None:
    pointed = re.findall(r"\]\(([^)]+)\)", (RUNBOOKS / f"{name}.md").read_text())
    assert [path for path in pointed if not (RUNBOOKS / path).exists()] == []
