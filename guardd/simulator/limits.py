"""The venue's side of rate limits and bans: what it counts, and when it stops answering.

Windows are fixed and start with the first call after the previous one ran out; refused calls count too. BitMart
publishes neither the kind of window nor the length of a ban (reference 4.2, 4.3 and 19.2): the figures of `BanRule`
are this simulator's choice.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

MS_PER_S = 1_000


class Scope(StrEnum):
    """Whose calls are added up: the caller's address, the API key, or the account with all of its keys."""

    IP = "IP"
    KEY = "KEY"
    UID = "UID"


class Rate(Struct, frozen=True, kw_only=True):
    """`count` calls in `window_s` seconds, for each caller in `scope`."""

    count: int
    window_s: int
    scope: Scope


class BanRule(Struct, frozen=True, kw_only=True):
    """An address that keeps calling through `refusals` answers 429 within `within_s` is shut out for `length_s`."""

    refusals: int = 20
    within_s: int = 10
    length_s: int = 120


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 -- not a secret
    TOO_MANY = "too_many"
    BANNED = "banned"


class Charge(Struct, frozen=True, kw_only=True):
    """One call as the venue booked it: `used` of `rate.count` in this window, this call included."""

    verdict: Verdict
    rate: Rate
    used: int


@dataclass(slots=True)
class _Window:
    start_ms: int
    used: int


class Limits:
    """Counts calls and remembers who ignored being told to slow down."""

    def __init__(self, ban_rule: BanRule | None = None) -> None:
        self._ban_rule = ban_rule or BanRule()
        self._windows: dict[tuple[str, Scope, str], _Window] = {}
        self._refusals: dict[str, deque[int]] = {}
        self._banned_until_ms: dict[str, int] = {}

    def charge(self, endpoint: str, rate: Rate, caller: str, peer_ip: str, now_ms: int) -> Charge:
        """Book one call of `caller` (an address, key or account, as `rate.scope` says) from `peer_ip`."""
        window = self._window(endpoint, rate, caller, now_ms)
        window.used += 1
        if self.banned(peer_ip, now_ms):
            return Charge(verdict=Verdict.BANNED, rate=rate, used=window.used)
        if window.used > rate.count:
            self.note_refusal(peer_ip, now_ms)
            return Charge(verdict=Verdict.TOO_MANY, rate=rate, used=window.used)
        return Charge(verdict=Verdict.PASS, rate=rate, used=window.used)

    def banned(self, peer_ip: str, now_ms: int) -> bool:
        return now_ms < self._banned_until_ms.get(peer_ip, 0)

    def ban(self, peer_ip: str, until_ms: int) -> None:
        self._banned_until_ms[peer_ip] = until_ms

    def pardon(self) -> None:
        """Forget every ban and refusal."""
        self._banned_until_ms.clear()
        self._refusals.clear()

    def note_refusal(self, peer_ip: str, now_ms: int) -> None:
        """A 429 went to this address; enough of them in a row and the address is banned from its next call on."""
        rule = self._ban_rule
        recent = self._refusals.setdefault(peer_ip, deque())
        recent.append(now_ms)
        while recent and recent[0] <= now_ms - rule.within_s * MS_PER_S:
            recent.popleft()
        if len(recent) >= rule.refusals:
            recent.clear()
            self.ban(peer_ip, now_ms + rule.length_s * MS_PER_S)

    def _window(self, endpoint: str, rate: Rate, caller: str, now_ms: int) -> _Window:
        key = (endpoint, rate.scope, caller)
        window = self._windows.get(key)
        if window is None or not window.start_ms <= now_ms < window.start_ms + rate.window_s * MS_PER_S:
            window = _Window(start_ms=now_ms, used=0)
            self._windows[key] = window
        return window
