"""`guardd check`: everything that can be known before the daemon runs, and how to mend what is wrong. Sends no write."""

from pathlib import Path
from typing import Annotated

import typer

from guardd.cli.exits import Exit, guarded
from guardd.cli.given import ConfigOption, JsonOption, settings_from
from guardd.cli.show import print_line
from guardd.config import Secrets
from guardd.daemon.wiring import policy_from


def check(
    config: ConfigOption = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no venue: settings, policy and credentials only.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Validate settings, policy, credentials and accounts; show what the policy would do now. Sends no order."""
    guarded(lambda: _check(config, offline=offline, as_json=as_json))


def _check(config: Path | None, *, offline: bool, as_json: bool) -> int:
    settings = settings_from(config)
    policy = policy_from(settings.policy)
    secrets = Secrets.of(settings)
    for account in settings.accounts:
        secrets.credentials(account)
    print_line(f"policy {policy.source} {policy.digest}")
    return Exit.DONE
