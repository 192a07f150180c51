"""Takes secrets out of text before it is written anywhere (I26)."""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

MASK: Final = "[redacted]"
SURE_LENGTH: Final = 6
"""A shorter secret (a memo may be one letter) is masked only where it stands alone, or no line could be read."""
_KEYS: Final = (
    r"[\w-]*api[_-]?key|[\w-]*secret(?:[_-]?key)?|[\w-]*passphrase|[\w-]*password|[\w-]*memo|[\w-]*token|authorization"
    r"|cookie|sign(?:ature)?|x-bm-key|x-bm-sign|access-key|access-sign|access-passphrase"
)
_KEY: Final = re.compile(rf"(?:{_KEYS})", re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"""(?P<key>(?<![\w-])(?:{_KEYS})(?![\w-])["']?\s*[:=]\s*["']?(?:bearer\s+)?)(?!\[redacted)[^\s"',;}})\]]+""",
    re.IGNORECASE,
)


class Redactor:
    """Masks every secret that was loaded, and what stands behind names that secrets have."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.learn(secrets)

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these too, from now on, however they are quoted."""
        self._secrets.update(secret for secret in secrets if secret)
        forms = {form for secret in self._secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(_pattern(form) for form in longest_first)) if forms else None

    def __call__(self, text: str) -> str:
        """The same text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _NAMED.sub(rf"\g<key>{MASK}", text)


def is_secret_name(name: str) -> bool:
    """True for a field's name that says its value is a secret."""
    return _KEY.fullmatch(name) is not None


def _forms(secret: str) -> Iterable[str]:
    """As it is, as JSON or a Python literal writes it, as it stands in an address."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= SURE_LENGTH else rf"(?<!\w){escaped}(?!\w)"
