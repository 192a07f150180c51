"""`guardd policy …`: is it right, what does an editor need to know of it."""

from pathlib import Path
from typing import Annotated

import typer

from guardd.cli.exits import Exit, guarded, talk
from guardd.cli.given import ConfigOption, JsonOption, settings_from
from guardd.cli.show import Json, print_json, print_line, print_table
from guardd.daemon.wiring import policy_from
from guardd.errors import ConfigurationError
from guardd.policy.check import findings
from guardd.policy.explain import action_text
from guardd.policy.language import Policy
from guardd.policy.schema import policy_schema

group = typer.Typer(no_args_is_help=True, help="Check a policy; print its JSON Schema.")


@group.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The policy; default: the settings' policy.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a policy, with line and column; exit 78 when it can't be used."""
    guarded(lambda: _check(file, config, as_json=as_json))


@group.command()
def schema() -> None:
    """Print the JSON Schema of a policy, for your editor."""
    guarded(lambda: print_json(policy_schema()))


@group.command()
def explain() -> None:
    """Explain a policy against recorded positions."""
    guarded(lambda: _not_yet("explain", "`guardd check` says what the policy would do to your positions now"))


@group.command()
def test() -> None:
    """Run the test cases of a policy."""
    guarded(lambda: _not_yet("test", "`guardd simulate` and `mode: observe` show a policy at work"))


def _check(file: Path | None, config: Path | None, *, as_json: bool) -> int:
    path = file if file is not None else settings_from(config).policy
    try:
        policy = policy_from(path)
    except ConfigurationError as error:
        if not as_json:
            raise
        print_json({"source": str(path), "valid": False, "errors": str(error).splitlines()})
        return Exit.CONFIGURATION
    if as_json:
        print_json(_document(policy))
    else:
        _print(policy)
    return Exit.DONE


def _document(policy: Policy) -> Json:
    return {
        "source": policy.source,
        "valid": True,
        "digest": policy.digest,
        "rules": [str(rule.name) for rule in policy.rules],
        "findings": [{"line": finding.line, "text": finding.text} for finding in findings(policy)],
    }


def _print(policy: Policy) -> None:
    print_line(f"{policy.source}: valid, {len(policy.rules)} rules", style="bold")
    print_line(f"digest {policy.digest}")
    rows = [
        (str(rule.line), rule.name, ", ".join(action_text(action) for action in rule.then)) for rule in policy.rules
    ]
    print_table("rules", ("line", "name", "then"), rows)
    found = findings(policy)
    if found:
        print_table("what looks wrong", ("line", "finding"), [(str(each.line or ""), each.text) for each in found])


def _not_yet(command: str, instead: str) -> int:
    talk().print(f"guardd policy {command} is not yet in this version; {instead}.", highlight=False, markup=False)
    return Exit.FAILED
