"""The `.env` file: variables that stand in for the environment's."""

from pathlib import Path

from dotenv import dotenv_values

from guardd.errors import ConfigurationError


def read_dotenv(dotenv: Path | None) -> dict[str, str]:
    if dotenv is None or not dotenv.is_file():
        return {}
    try:
        found = dotenv_values(dotenv, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{dotenv}: can't be read: {type(error).__name__}") from None
    return {name: value for name, value in found.items() if value is not None}
