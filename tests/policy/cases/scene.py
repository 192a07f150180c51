"""A file of cases in a few lines, for tests."""

from pathlib import Path
from textwrap import indent

from guardd.policy.cases.language import Case
from guardd.policy.cases.load import load_cases
from guardd.policy.language import Policy
from guardd.policy.load import load_policy

READY = Path(__file__).parents[3] / "config" / "policies"
HEAD = """\
version: 1
instruments:
  BTCUSDT:
    tick: 0.1
    contract_size: 0.001
    tiers: [{up_to: 500000 USDT, maintenance: 0.5%, max_leverage: 100}]
account: {equity: 50000 USDT, margin_mode: isolated, leverage: 20}
cases:
"""
HELD = "positions: [{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000}]"
STOP = "- {name: stop, then: [stop_loss: {trigger: {from_entry: -3%}}]}"
"""At 87300."""
WARN = "- {name: warn, when: {buffer_left: {below: 75%}}, then: [notify: {}]}"
"""Long, 20 times isolated: true from 89000.3 or so on."""
EASE = "- {name: ease, when: {buffer_left: {below: 60%}}, for: 2s, cooldown: 10s, then: [reduce: {by: 25%}]}"
CLOSE = "- {name: last, when: {buffer_left: {below: 30%}}, then: [close: {}]}"


def policy(*rules: str, limits: str = "") -> Policy:
    return load_policy(policy_text(*rules, limits=limits), source="policy.yaml")


def policy_text(*rules: str, limits: str = "") -> str:
    head = f"version: 1\nlimits: {limits}\n" if limits else "version: 1\n"
    return head + "rules:\n" + "".join(indent(rule, "  ") + "\n" for rule in rules)


def case(body: str, *, head: str = HEAD) -> Case:
    """One case of this body; its name is `it` unless the body says another."""
    named = body if "name:" in body else f"name: it\n{body}"
    text = head + "  - " + indent(named.strip("\n"), "    ").lstrip() + "\n"
    return load_cases(text, source="it.cases.yaml").cases[0]


def falling(values: str, decisions: str = "", *, more: str = "") -> Case:
    """A long of 1000 contracts at 90000, 20 times isolated, under these marks."""
    series = f'series: [{{mark: BTCUSDT, values: "{values}"}}]'
    wanted = f"decisions:\n{indent(decisions, '  ')}" if decisions else ""
    return case("\n".join(part for part in (HELD, series, more, wanted) if part))
