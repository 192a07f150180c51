"""What commands print with --json is what `guardd/cli/output.schema.json` describes: no field more, none less."""

import asyncio
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from guardd.cli.exits import Exit
from guardd.simulator.orders import MarginMode, OrderKind, Side
from tests.cli.stage import POLICY, Desktop, Venue
from tests.cli.test_daemon import YES, daemon_of
from tests.cli.test_journal import told_in_full

SCHEMA: dict[str, Any] = json.loads(files("guardd.cli").joinpath("output.schema.json").read_text(encoding="utf-8"))
GROWS = frozenset({"status", "resting"})
"""The page's own document, and the orders in it: they may hold more than is promised."""


def strict(node: Any) -> Any:
    """The same schema, in which a field that isn't described is a mistake."""
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {name: strict(each) for name, each in node.items()}
    if isinstance(node.get("properties"), dict) and "type" in node:
        made.setdefault("additionalProperties", False)
    return made


def fits(name: str, text: str) -> Any:
    """The document, once it was found to be as described."""
    document = json.loads(text)
    definitions = {each: node if each in GROWS else strict(node) for each, node in SCHEMA["$defs"].items()}
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions}).validate(document)
    return document


def furnish(desktop: Desktop, venue: Venue) -> None:
    """A position in each margin mode, a resting order, a stop."""
    venue.trade("BTCUSDT", Side.BUY, 100)
    venue.ask(
        lambda server: server.exchange.set_leverage("main", "ETHUSDT", server.now_ms(), margin_mode=MarginMode.ISOLATED)
    )
    venue.trade("ETHUSDT", Side.SELL, 50)
    quote = venue.ask(lambda server: server.exchange.query.quote("ETHUSDT"))
    assert quote is not None
    venue.trade("ETHUSDT", Side.SELL, 30, kind=OrderKind.LIMIT, price=quote.mark * 2)


def test_check_and_the_account_commands_print_what_is_described(desktop: Desktop, venue: Venue) -> None:
    furnish(desktop, venue)
    document = fits("check", desktop.run("check", "--json").stdout)
    assert len(document["accounts"][0]["positions"]) == 2
    assert document["accounts"][0]["orders"]
    fits("check", desktop.run("check", "--offline", "--json").stdout)
    fits("account_positions", desktop.run("account", "positions", "--json").stdout)
    fits("account_fact", desktop.run("account", "leverage", "BTCUSDT", "--json").stdout)
    fits("account_fact", desktop.run("account", "position-mode", "--json").stdout)
    step = desktop.run("account", "leverage", "BTCUSDT", "--to", "5", "--json", *YES)
    assert fits("account_step", step.stdout)["outcome"] == "accepted"


def test_a_running_daemon_and_its_journal_print_what_is_described(desktop: Desktop, venue: Venue) -> None:
    furnish(desktop, venue)
    with daemon_of(desktop):
        document = fits("status", desktop.run("status", "--json").stdout)
        assert len(document["accounts"][0]["positions"]) == 2
        fits("word", desktop.run("halt", "--json").stdout)
        fits("word", desktop.run("resume", "--json").stdout)
        positions = fits("account_positions", desktop.run("account", "positions", "--json").stdout)
        assert any(order["kind"] == "plan" for order in positions["orders"])
    listed = fits("journal_list", desktop.run("journal", "list", "--json").stdout)
    for subject in {record["subject"] for record in listed if record["kind"] in ("intent", "episode")}:
        fits("journal_why", desktop.run("journal", "why", subject, "--json").stdout)


def test_the_journal_of_a_whole_story_prints_what_is_described(alone: Desktop) -> None:
    meant = asyncio.run(told_in_full(alone.place / "data"))
    document = fits("journal_why", alone.run("journal", "why", meant.id, "--json").stdout)
    assert document["fills"]
    assert document["course"]
    fits("journal_why", alone.run("journal", "why", meant.episode, "--json").stdout)
    fits("journal_list", alone.run("journal", "list", "--json").stdout)
    fits("journal_verify", alone.run("journal", "verify", "--json").stdout)


def test_the_policy_commands_print_what_is_described(alone: Desktop) -> None:
    assert fits("policy_check", alone.run("policy", "check", "--json").stdout)["findings"]
    given = "--symbol BTCUSDT --quantity 1000 --entry 90000 --leverage 20 --margin-mode cross --equity 10000"
    explained = (
        "policy",
        "explain",
        "policy.yaml",
        *given.split(),
        "--contract-size",
        "0.001",
        "--tick",
        "0.1",
        "--json",
    )
    document = fits("policy_explain", alone.run(*explained, give_file=False).stdout)
    assert document["positions"][0]["triggers"]
    alone.write(policy=POLICY.replace("close: {}", "close: now"))
    refused = alone.run("policy", "check", "--json")
    assert refused.exit_code == Exit.CONFIGURATION
    assert fits("policy_check", refused.stdout)["valid"] is False


def test_played_cases_print_what_is_described(alone: Desktop) -> None:
    cases = "config/policies/tests/observe-only.cases.yaml"
    from tests.cli.test_commands import HOME

    done = alone.run("policy", "test", str(HOME / cases), "--json", "--only", "prices that nobody", give_file=False)
    assert fits("policy_test", done.stdout)["passed"] is True


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("word", {"word": "halt", "accounts": ["main"]}),
        ("word", {"word": "halt", "accounts": ["main"], "way": "daemon", "more": 1}),
        ("account_fact", {"position_mode": 3}),
        ("journal_verify", [{"account": "main", "records": 1.5, "pruned_before": 0, "holds": True, "problem": None}]),
    ],
)
def test_a_field_too_many_too_few_or_of_another_type_is_found(name: str, document: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        fits(name, json.dumps(document))
