"""The JSON Schema of files of cases says what the loader takes."""

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from guardd.policy.cases.schema import cases_schema
from tests.policy.cases.scene import READY


def test_the_schema_file_is_current() -> None:
    """Renew it with: guardd policy schema --cases > config/cases.schema.json"""
    assert json.loads((READY.parent / "cases.schema.json").read_text()) == cases_schema()


@pytest.mark.parametrize("name", sorted(file.name for file in (READY / "tests").glob("*.cases.yaml")))
def test_the_ready_files_fit_it(name: str) -> None:
    written = YAML(typ="safe", pure=True).load((READY / "tests" / name).read_text())
    jsonschema.Draft202012Validator(cases_schema()).validate(written)


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"name": "a", "lasts": 5},
        {"name": "a", "series": [{"mark": "X"}]},
        {"name": "a", "series": [{"mark": "X", "values": "90000+"}]},
        {"name": "a", "series": [{"mark": "X", "last": "X", "values": "1"}]},
        {"name": "a", "series": [{"fault": "sleepy", "values": "1"}]},
        {"name": "a", "decisions": [{"at": "1s", "expect": []}]},
        {"name": "a", "decisions": [{"at": "1s", "expect": [{"rule": "r", "action": "shut"}]}]},
        {"name": "a", "decisions": [{"at": "1s", "expect": [{"told": "x", "rule": "r"}]}]},
    ],
)
def test_what_the_loader_refuses_by_its_shape_the_schema_refuses_too(case: dict[str, object]) -> None:
    whole = {
        "version": 1,
        "instruments": {"X": {"tick": 1, "tiers": [{"up_to": "1 USDT", "maintenance": "1%", "max_leverage": 9}]}},
    }
    fits = jsonschema.Draft202012Validator(cases_schema()).is_valid
    assert fits({**whole, "cases": [{"name": "a"}]})
    assert not fits({**whole, "cases": [case]})
