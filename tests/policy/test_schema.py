"""The JSON Schema that editors use says what the loader takes."""

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from guardd.policy.schema import policy_schema

CONFIG = Path(__file__).parents[2] / "config"


def test_the_schema_file_is_current() -> None:
    """Renew it with: guardd policy schema > config/policy.schema.json"""
    assert json.loads((CONFIG / "policy.schema.json").read_text()) == policy_schema()


@pytest.mark.parametrize("name", ["policy.yaml", "demo-policy.yaml"])
def test_the_policies_that_come_with_guardd_fit_it(name: str) -> None:
    written = YAML(typ="safe", pure=True).load((CONFIG / name).read_text())
    jsonschema.Draft202012Validator(policy_schema()).validate(written)


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "r"},
        {"name": "r", "then": []},
        {"name": "r", "then": [{"jump": {}}]},
        {"name": "r", "then": [{"close": {}, "notify": {}}]},
        {"name": "r", "then": [{"close": {}}], "when": {"margin_ratio": {"below": 8}}},
        {"name": "r", "then": [{"close": {}}], "when": {"margin_ratio": {"under": "8%"}}},
        {"name": "r", "then": [{"close": {}}], "for": 2},
        {"name": "r", "then": [{"stop_loss": {}}]},
        {"name": "r", "then": [{"reduce": {"until": {"leverage": 3}}}]},
        {"name": "r", "then": [{"notify": {}}], "match": {"side": "up"}},
    ],
)
def test_what_the_loader_refuses_by_its_shape_the_schema_refuses_too(rule: dict[str, object]) -> None:
    assert not jsonschema.Draft202012Validator(policy_schema()).is_valid({"version": 1, "rules": [rule]})


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(policy_schema())
