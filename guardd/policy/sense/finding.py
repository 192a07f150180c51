"""What looks wrong in a policy that is right by its grammar."""

from enum import StrEnum

from msgspec import Struct

from guardd.model.names import RuleName
from guardd.policy.language import Policy
from guardd.policy.nodes import Path, Place, place_at


class Weight(StrEnum):
    ERROR = "error"
    """It can't be what was meant."""
    WARNING = "warning"
    """It may hurt, or do nothing where something was expected."""
    INFO = "info"
    """Good to know."""


class Kind(StrEnum):
    NO_STOP = "no-stop"
    NEVER = "never-fires"
    AT_ONCE = "fires-at-once"
    SHADOWED = "shadowed"
    BEYOND = "stop-beyond-liquidation"
    SPREAD = "inside-the-spread"
    LATE = "too-late"
    UNDEFENDABLE = "undefendable"
    NO_HELP = "cannot-help"
    LACKS = "venue-lacks"
    CONTRADICTION = "contradiction"
    AIM = "aim-not-beyond-threshold"
    WAITS = "waits-too-long"
    LEASH = "leash-too-short"
    UNREACHED = "never-its-turn"
    NO_EFFECT = "without-effect"
    NO_MATCH = "matches-nothing"


class Finding(Struct, frozen=True, kw_only=True):
    """`line` and `column` of the policy's file; `text` says what is wrong, `mend` what to do about it. `rule` None: the whole."""

    weight: Weight
    kind: Kind
    rule: RuleName | None
    line: int
    column: int
    text: str
    mend: str

    @property
    def place(self) -> Place:
        return Place(self.line, self.column)

    @property
    def sentence(self) -> str:
        """In one line, with its rule."""
        return self.text if self.rule is None else f"rule {self.rule}: {self.text}"


def found_at(
    policy: Policy, path: Path, weight: Weight, kind: Kind, text: str, mend: str, *, rule: RuleName | None = None
) -> Finding:
    """A finding about what stands at `path` of the policy's file."""
    place = place_at(policy.places, path)
    return Finding(weight=weight, kind=kind, rule=rule, line=place.line, column=place.column, text=text, mend=mend)
