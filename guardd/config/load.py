"""Reads settings from everywhere they may stand, most important first.

Precedence: command line, `GUARDD_*` environment, `.env`, the YAML file, defaults (interfaces.md section 1).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from guardd.config.dotenv import read_dotenv
from guardd.config.mistakes import Source, holds, meant, place, told
from guardd.config.settings import NOT_IN_A_FILE, PREFIX, Settings
from guardd.errors import ConfigurationError


def load_settings(
    file: Path | None,
    *,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """Read everything, most important first: `overrides` (the command line), environment, `.env`, `file`, defaults.

    Relative paths in the file, and defaults, are relative to the file; all others to the working directory. Raises
    `ConfigurationError` (exit 78) naming each mistake and where it stands, without the value of anything that may be secret.
    """
    document = _read_yaml(file) if file is not None else CommentedMap()
    sources = [
        Source(name="on the command line", values=overrides or {}),
        _from_variables("in the environment", environ if environ is not None else os.environ),
        _from_variables(f"in {dotenv}", read_dotenv(dotenv)),
        Source(name=f"in {file}", values=document, file=file),
    ]
    _refuse_secrets_in_file(sources[-1])
    merged: dict[str, object] = {}
    for source in reversed(sources):
        merged = _laid_over(merged, source.values)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise ConfigurationError(told(error, sources)) from None
    return _with_absolute_paths(settings, sources, home=file.parent if file is not None else Path())


# Reading


def _read_yaml(file: Path) -> CommentedMap:
    """The round-trip reader: it refuses duplicate keys, reads YAML 1.2 and knows where every key stands."""
    try:
        text = file.read_text(encoding="utf-8")
        document = YAML(typ="rt", pure=True).load(text)
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: no such file; expected guardd's settings (guardd.yaml)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: can't be read: {type(error).__name__}") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        problem = (error.problem or "").splitlines() or ["not YAML"]
        raise ConfigurationError(f"{file}{where}: not valid YAML: {problem[0]}") from None
    except YAMLError as error:
        raise ConfigurationError(f"{file}: not valid YAML: {type(error).__name__}") from None
    except (ValueError, RecursionError) as error:  # a date that is none, brackets without end
        raise ConfigurationError(f"{file}: holds a value that YAML can't make ({type(error).__name__})") from None
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigurationError(f"{file}:1:1: found a {_kind(document)}, expected settings as `key: value`")
    for key in document:
        if not isinstance(key, str):
            line, column = document.lc.key(key)
            raise ConfigurationError(
                f"{file}:{line + 1}:{column + 1}: found a key that is no text, expected a setting's name"
            )
    return document


def _from_variables(name: str, variables: Mapping[str, str]) -> Source:
    """`GUARDD_HTTP__PORT=1` as `{"http": {"port": "1"}}`. pydantic doesn't see a mistyped variable; so they are looked for here."""
    ours = {variable: value for variable, value in variables.items() if variable.upper().startswith(PREFIX)}
    known = set(_known_variables(Settings, PREFIX))
    for variable in sorted(ours):
        if variable.upper() not in known:
            raise ConfigurationError(f"{variable} {name}: guardd knows no such variable{meant(variable, known)}")
    source = EnvSettingsSource(Settings, case_sensitive=False, env_ignore_empty=True)
    source.env_vars = {variable.lower(): value for variable, value in ours.items() if value}
    try:
        return Source(name=name, values=source())
    except SettingsError:
        lists = [variable for variable in sorted(ours) if variable.upper() in (f"{PREFIX}ACCOUNTS", f"{PREFIX}NOTIFY")]
        raise ConfigurationError(f"{' or '.join(lists) or PREFIX + '…'} {name}: not valid JSON") from None


def _known_variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield f"{prefix}{name.upper()}"
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _known_variables(info.annotation, f"{prefix}{name.upper()}__")


def _laid_over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = _laid_over(under, value)
        else:
            merged[key] = value
    return merged


def _refuse_secrets_in_file(source: Source) -> None:
    for path, variable in NOT_IN_A_FILE.items():
        if holds(source.values, path):
            where = place(source, path)
            raise ConfigurationError(f"{where}: {'.'.join(path)} never stands in a file; set {variable} instead")


def _with_absolute_paths(settings: Settings, sources: Sequence[Source], *, home: Path) -> Settings:
    changed: dict[str, Path] = {}
    for name in ("policy", "data_dir", "secrets_dir"):
        path: Path | None = getattr(settings, name)
        if path is not None:
            given_elsewhere = any(name in source.values for source in sources if source.file is None)
            base = Path.cwd() if given_elsewhere else Path.cwd() / home
            changed[name] = Path(os.path.normpath(base / path.expanduser()))
    return settings.model_copy(update=changed)


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "single value"
