"""What commands are given: the options that several share, and the settings, policy and account they lead to."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from guardd.config import AccountSettings, Settings, load_settings
from guardd.errors import ConfigurationError

LOOKED_FOR: Final = (Path("guardd.yaml"), Path("config/guardd.yaml"))
"""Where the settings are looked for when no `-c` names them."""

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="The settings file; default: ./guardd.yaml, ./config/guardd.yaml."
    ),
]
AccountOption: TypeAlias = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="One account of the settings, by its name.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
ConfirmOption: TypeAlias = Annotated[
    str | None, typer.Option("--confirm", metavar="CONFIRM", help="The word CONFIRM, for an unattended step.")
]


def settings_from(config: Path | None) -> Settings:
    """Raises `ConfigurationError`: no file, or mistakes in it, each with its place."""
    if config is None:
        config = next((file for file in LOOKED_FOR if file.is_file()), None)
    if config is None:
        looked = " and ".join(f"./{file}" for file in LOOKED_FOR)
        raise ConfigurationError(f"no settings: neither {looked} is there; name the file with -c FILE")
    return load_settings(config)


def accounts_of(settings: Settings, name: str | None) -> tuple[AccountSettings, ...]:
    """The account of that name, or all of them. An unknown name is an error of usage (exit 2)."""
    if name is None:
        return settings.accounts
    found = tuple(account for account in settings.accounts if account.name == name)
    if not found:
        known = ", ".join(account.name for account in settings.accounts)
        raise typer.BadParameter(f"no account {name!r} in the settings; they have {known}", param_hint="--account")
    return found


def the_account(settings: Settings, name: str | None) -> AccountSettings:
    """The account that a step is about: the named one, or the only one."""
    found = accounts_of(settings, name)
    if len(found) > 1:
        known = ", ".join(account.name for account in found)
        raise typer.BadParameter(f"the settings have several accounts, name one of {known}", param_hint="--account")
    return found[0]
