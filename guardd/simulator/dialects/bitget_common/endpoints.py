"""One REST call of this venue: path, whether it is signed, how often it may be made (Bitget reference, 4)."""

from dataclasses import dataclass, field

from guardd.simulator.limits import Rate, Scope

OVERALL = Rate(count=6_000, window_s=60, scope=Scope.IP)
OVERALL_RECOVERY_S = 300  # once the overall limit is tripped (FAQ; changelog 2025-08-11)
MARKET = Rate(count=20, window_s=1, scope=Scope.IP)  # all public market calls of an address together


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`name` is method and path; `market`: counts into the ceiling that public market calls share."""

    method: str
    path: str
    private: bool
    rate: Rate
    market: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.method} {self.path}")


def public(path: str, count: int, *, market: bool = True) -> Endpoint:
    return Endpoint(
        method="GET", path=path, private=False, rate=Rate(count=count, window_s=1, scope=Scope.IP), market=market
    )


def read(path: str, count: int) -> Endpoint:
    return Endpoint(method="GET", path=path, private=True, rate=Rate(count=count, window_s=1, scope=Scope.UID))


def write(path: str, count: int) -> Endpoint:
    return Endpoint(method="POST", path=path, private=True, rate=Rate(count=count, window_s=1, scope=Scope.UID))
