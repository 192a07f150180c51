"""What stands in files: policies, their cases, and settings."""

import tempfile
from pathlib import Path
from typing import Final

from guardd.config import load_settings
from guardd.errors import ConfigurationError
from guardd.policy.cases.load import load_cases
from guardd.policy.cases.notation import read_samples
from guardd.policy.load import load_policy
from tests.fuzz.target import Target

_CONFIG: Final = Path(__file__).parents[2] / "config"


def _policy(text: bytes) -> object:
    """The text as `guardd run` has it: undecodable bytes are told before (ConfigurationError of the reader)."""
    load_policy(text.decode("utf-8", "replace"), source="policy.yaml")
    return None


def _cases(text: bytes) -> object:
    load_cases(text.decode("utf-8", "replace"), source="cases.yaml")
    return None


def _settings(text: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "guardd.yaml"
        file.write_bytes(text)
        load_settings(file, environ={}, dotenv=None)
    return None


def _dotenv(text: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ".env"
        file.write_bytes(text)
        load_settings(_CONFIG / "guardd.yaml", environ={}, dotenv=file)
    return None


def _notation(text: bytes) -> object:
    read_samples(text.decode("utf-8", "replace"))
    return None


_POLICIES: Final = tuple(
    path.read_bytes() for path in (_CONFIG / "policy.yaml", *sorted((_CONFIG / "policies").glob("*.yaml")))
)
_CASES: Final = tuple(path.read_bytes() for path in sorted((_CONFIG / "policies" / "tests").glob("*.yaml")))
TARGETS: Final = (
    Target("policy", _policy, _POLICIES, (ConfigurationError,), json=False),
    Target("policy.cases", _cases, _CASES, (ConfigurationError,), json=False),
    Target("policy.cases.notation", _notation, (b"90000-100x3 _x5 stale 90000x3 _ 5.5+0.5x2",), (), json=False),
    Target(
        "settings",
        _settings,
        ((_CONFIG / "guardd.yaml").read_bytes(), (_CONFIG / "demo.yaml").read_bytes()),
        (ConfigurationError,),
        json=False,
    ),
    Target(
        "settings.dotenv",
        _dotenv,
        (b"GUARDD_MODE=observe\nGUARDD_HTTP__PORT=9517\n",),
        (ConfigurationError,),
        json=False,
    ),
)
