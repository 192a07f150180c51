"""`guardd policy …`: is it right, what does an editor need to know of it."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from guardd.cli.bench import bench, leverages_in
from guardd.cli.cases import play_cases
from guardd.cli.exits import Exit, guarded
from guardd.cli.explain import explain
from guardd.cli.given import ConfigOption, JsonOption, settings_from
from guardd.cli.show import Json, print_json, print_line, print_table
from guardd.config import Settings
from guardd.daemon.wiring import policy_from
from guardd.errors import ConfigurationError
from guardd.policy.cases.schema import cases_schema
from guardd.policy.check import Finding, Weight, findings
from guardd.policy.explain import action_text
from guardd.policy.language import Policy
from guardd.policy.nodes import PolicyRefused, excerpt
from guardd.policy.schema import policy_schema

STYLE: Final = {Weight.ERROR: "bold red", Weight.WARNING: "yellow", Weight.INFO: "cyan"}
group = typer.Typer(no_args_is_help=True, help="Check a policy; print its JSON Schema.")


@group.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The policy; default: the settings' policy.")
    ] = None,
    config: ConfigOption = None,
    leverage: Annotated[
        str | None, typer.Option("--leverage", metavar="5,20,50", help="The leverages to judge it at.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 where a warning remains.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a policy and what makes no sense in it; exit 78 when it can't be used, 1 when an error remains."""
    leverages = leverages_in(leverage)
    guarded(lambda: _check(file, config, leverages, strict=strict, as_json=as_json))


@group.command()
def schema(
    cases: Annotated[bool, typer.Option("--cases", help="That of a file of cases (`guardd policy test`).")] = False,
) -> None:
    """Print the JSON Schema of a policy, for your editor."""
    guarded(lambda: print_json(cases_schema() if cases else policy_schema()))


group.command()(explain)
group.command(name="test")(play_cases)


def _check(
    file: Path | None, config: Path | None, leverages: tuple[Decimal, ...], *, strict: bool, as_json: bool
) -> int:
    path, settings = _asked(file, config)
    try:
        policy = policy_from(path)
    except ConfigurationError as error:
        if not as_json:
            raise
        print_json(_refused(path, error))
        return Exit.CONFIGURATION
    found = findings(policy, bench(settings, leverages))
    if as_json:
        print_json(_document(policy, found, leverages))
    else:
        _print(policy, found, leverages)
    weights = {each.weight for each in found}
    bad = Weight.ERROR in weights or (strict and Weight.WARNING in weights)
    return Exit.FAILED if bad else Exit.DONE


def _asked(file: Path | None, config: Path | None) -> tuple[Path, Settings | None]:
    """The policy's file, and the settings whose accounts it is for; the settings name it where nobody else does."""
    if file is not None:
        return file, None if config is None else settings_from(config)
    settings = settings_from(config)
    return settings.policy, settings


def _refused(path: Path, error: ConfigurationError) -> Json:
    faults = error.faults if isinstance(error, PolicyRefused) else ()
    return {
        "source": str(path),
        "valid": False,
        "errors": str(error).splitlines(),
        "faults": [{"line": each.place.line, "column": each.place.column, "text": each.text} for each in faults],
    }


def _document(policy: Policy, found: Sequence[Finding], leverages: Sequence[Decimal]) -> Json:
    return {
        "source": policy.source,
        "valid": True,
        "digest": policy.digest,
        "rules": [str(rule.name) for rule in policy.rules],
        "leverages": [f"{each:f}" for each in leverages],
        "findings": [
            {
                "severity": each.weight.value,
                "kind": each.kind.value,
                "rule": each.rule,
                "line": each.line,
                "column": each.column,
                "text": each.text,
                "mend": each.mend,
            }
            for each in found
        ],
    }


def _print(policy: Policy, found: Sequence[Finding], leverages: Sequence[Decimal]) -> None:
    """As compilers tell it: the place, what is wrong, the line with a caret, how to mend it."""
    asked = ", ".join(f"{each.normalize():f}×" for each in leverages)
    text = Path(policy.source).read_text(encoding="utf-8")
    for each in found:
        place = f"{policy.source}:{each.line}:{each.column}: "
        print_line(Text.assemble((place, "bold"), (f"{each.weight}: ", STYLE[each.weight]), each.sentence))
        print_line(excerpt(text, each.place))
        print_line(Text.assemble(("to mend it: ", "bold"), each.mend))
        print_line("")
    rows = [
        (str(rule.line), rule.name, ", ".join(action_text(action) for action in rule.then)) for rule in policy.rules
    ]
    print_table("rules", ("line", "name", "then"), rows)
    counted = Counter(each.weight for each in found)
    said = ", ".join(_count(counted[weight], weight.value) for weight in Weight)
    rules = _count(len(policy.rules), "rule")
    print_line(f"{policy.source}: valid, {rules}; judged at {asked}: {said}", style="bold")
    print_line(f"digest {policy.digest}")


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"
