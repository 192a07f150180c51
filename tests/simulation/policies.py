"""A policy for one account, drawn from the language. Every one has a stop and ends with `last-resort`: by those it is judged."""

import re
from decimal import Decimal
from random import Random
from typing import Final

STOPS: Final = (
    "{{from_entry: -{far}%}}",
    "[{{liquidation_buffer: {buffer}%}}, {{from_entry: -{far}%}}]",
    "[{{liquidation_buffer: {buffer}%}}, {{from_entry: -{far}%}}]",
    "[{{liquidation_buffer: {buffer}%}}, {{from_mark: -{near}%}}]",
    "[{{from_entry: -{far}%}}, {{from_mark: -{near}%}}, {{liquidation_buffer: {buffer}%}}]",
)
"""Each can be computed whatever is held: a small position may have no liquidation price."""


ENTRY_STOP: Final = re.compile(r"from_entry: -([0-9.]+)%")

LADDERS: Final = (
    "[{{trigger: {{from_entry: -{near}%}}, size: 50%}}, {{trigger: {{from_entry: -{far}%}}, size: 50%}}]",
    "[{{trigger: {{from_entry: -{near}%}}, size: 25%}}, {{trigger: {{from_entry: -{far}%}}, size: 75%}}]",
    "[{{trigger: {{from_mark: -{near}%}}, size: 30%}}, {{trigger: {{from_entry: -{farther}%}}, size: 70%}}]",
)
"""Stops in tranches, all of it together (interfaces.md 2.4)."""


class Drawing:
    """One account's rules; `last_percent` is where its last resort closes."""

    def __init__(self, chance: Random, ladders: Random, account: str, *, alone: bool) -> None:
        """`ladders` decides whether its stop is one."""
        self._ladders = ladders
        self._chance, self._account, self._alone = chance, account, alone
        self.last_percent = Decimal(-chance.randint(2, 9))

    def rules(self) -> str:
        found = [self._protection(), *self._profit(), *self._told()]
        wanted = self._chance.sample(_DELEVERS, self._chance.choice((0, 0, 1, 1, 2, 3)))
        found.extend(self._rule(*self._filled(name, match, when, then)) for name, match, when, then in wanted)
        last = f"{{profit_from_entry: {{below: {self.last_percent}%}}}}"
        return "".join([*found, self._rule("last-resort", "", f"when: {last}", "close: {}")])

    def _rule(self, name: str, match: str, when: str, then: str) -> str:
        """`when` may carry `for` and `cooldown`, each a line."""
        account = "" if self._alone else f"account: {self._account}"
        fits = ", ".join(part for part in (account, match) if part)
        named = name if self._alone else f"{self._account}-{name}"
        lines = [f"  - name: {named}", *([f"    match: {{{fits}}}"] if fits else [])]
        lines.extend(f"    {line}" for line in when.split("; ") if line)
        return "\n".join([*lines, f"    then: [{then}]"]) + "\n"

    def _filled(self, name: str, match: str, when: str, then: str) -> tuple[str, str, str, str]:
        chance = self._chance
        figures = {
            "few": chance.randint(2, 5),
            "some": chance.randint(6, 12),
            "much": chance.randint(30, 60),
            "most": chance.randint(70, 90),
            "share": chance.choice((20, 25, 34, 50)),
            "held": chance.choice(("0s", "1s", "3s")),
            "rest": chance.choice(("10s", "30s", "2m")),
            "money": chance.choice((20, 100, 300)),
        }
        return name, match, when.format(**figures), then.format(**figures)

    def _protection(self) -> str:
        chance = self._chance
        stop = chance.choice(STOPS).format(
            buffer=chance.choice((15, 20, 30)), far=chance.choice((6, 9, 15, 25)), near=chance.choice((4, 8, 15))
        )
        passed = chance.choice(("", "", ", if_passed: close", ", if_passed: alert"))
        unprotected = ", on_unprotected: close" if chance.random() < 0.2 else ""
        source = ", price_type: last" if chance.random() < 0.1 else ""
        stops = f"{{trigger: {stop}{passed}{unprotected}{source}}}"
        trails = chance.random() < 0.2
        if not trails and self._ladders.random() < 0.12:
            near = self._ladders.choice((2, 3, 4))
            stops = self._ladders.choice(LADDERS).format(near=near, far=near + 2, farther=near + 5)
        rule = self._rule("resting-protection", "", "", f"stop_loss: {stops}")
        if trails:
            rule += self._rule("trailing", "", "", f"trail_stop: {{distance: {chance.choice((3, 5, 8))}%}}")
        return rule

    def _profit(self) -> list[str]:
        chance = self._chance
        drawn = chance.random()
        if drawn < 0.25:
            return [self._rule("profit", "", "", "take_profit: {trigger: {from_entry: 4%}}")]
        if drawn < 0.4:
            ladder = "{trigger: {from_entry: 2%}, size: 25%}, {trigger: {from_entry: 5%}, size: 25%}"
            return [self._rule("ladder", "", "", f"take_profit: [{ladder}]")]
        return []

    def _told(self) -> list[str]:
        found = [
            self._rule(
                "warn", "", "when: {distance_to_liquidation: {below: 8%}}", "notify: {severity: warning}"
            )
        ]  # fmt: skip
        if self._chance.random() < 0.3:
            when = "when: {account_drawdown: {above: 5%}}"
            found.append(self._rule("bad-day", "", when, "notify: {severity: critical}, cancel_entries: {}"))
        return found


_DELEVERS: Final = (
    ("trim", "margin_mode: cross", "when: {{distance_to_liquidation: {{below: {some}%}}}}; cooldown: {rest}",
     "cancel_entries: {{}}, reduce: {{until: {{distance_to_liquidation: 14%}}, at_most: {share}%}}"),
    ("ease", "", "when: {{buffer_left: {{below: {most}%}}}}; for: {held}; cooldown: {rest}", "reduce: {{by: {share}%}}"),
    ("shed", "margin_mode: cross", "when: {{buffer_left: {{below: {much}%}}}}; cooldown: {rest}",
     "reduce: {{until: {{buffer_left: {most}%}}, at_most: {share}%}}"),
    ("lose-less", "", "when: {{profit_from_entry: {{below: -{few}%}}}}; for: {held}; cooldown: {rest}", "reduce: {{by: {share}%}}"),
    ("unquote", "", "when: {{profit_from_entry: {{below: -1%}}}}; cooldown: {rest}", "cancel_entries: {{}}"),
    ("unlever", "", "when: {{buffer_left: {{below: {most}%}}}}; cooldown: {rest}", "set_leverage: {{to: 3}}"),
    ("stake", "margin_mode: isolated", "when: {{distance_to_liquidation: {{below: {some}%}}}}; cooldown: {rest}",
     "add_margin: {{amount: {money} USDT, at_most: 300 USDT}}"),
    ("stake-until", "margin_mode: isolated", "when: {{buffer_left: {{below: {much}%}}}}; cooldown: {rest}",
     "add_margin: {{until: {{buffer_left: {most}%}}, at_most: 300 USDT}}"),
    ("fund", "margin_mode: cross", "when: {{account_margin_ratio: {{above: {much}%}}}}; cooldown: {rest}",
     "top_up: {{amount: {money} USDT}}"),
    ("account", "margin_mode: cross", "when: {{account_margin_ratio: {{above: {most}%}}}}; cooldown: {rest}",
     "reduce: {{until: {{account_margin_ratio: {much}%}}, at_most: {share}%}}"),
    ("blind", "",
     "when: {{all: [{{data_age: {{above: 20s}}}}, {{profit_from_entry: {{below: -{few}%}}}}]}}; when_blind: act; cooldown: {rest}",
     "reduce: {{by: {share}%}}"),
    ("harvest", "", "when: {{profit_from_entry: {{above: {some}%}}}}; cooldown: {rest}", "reduce: {{by: {share}%}}"),
)  # fmt: skip
"""Name, match, when, then."""


def rewritten(chance: Random, policy: str) -> tuple[str, str] | None:
    """The policy with its stops nearer or further off, and that in words; None where none of them hangs on the entry."""
    factor = chance.choice((Decimal("0.6"), Decimal("1.6")))
    lines = policy.splitlines(keepends=True)
    found = [
        ENTRY_STOP.sub(lambda at: f"from_entry: -{_scaled(at, factor)}%", line) if "stop_loss" in line else line
        for line in lines
    ]
    text = "".join(found)
    return None if text == policy else (text, f"stops at {factor} of their distance from the entry")


def _scaled(at: re.Match[str], factor: Decimal) -> Decimal:
    return max(Decimal(at.group(1)) * factor, Decimal("1.5"))


def limits(chance: Random) -> str:
    """The leash of all accounts."""
    orders = chance.choice((20, 30, 60))
    stale = chance.choice((5, 10, 15, 15))
    return f"version: 1\nlimits: {{orders_per_minute: {orders}, stale_after: {stale}s}}\nrules:\n"
