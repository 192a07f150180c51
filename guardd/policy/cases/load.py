"""From a file of cases to a `CaseFile`, or to one error that names everything that is wrong with it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeVar

from msgspec.structs import replace

from guardd.model.intent import Action
from guardd.model.names import MarginMode, PositionMode, Severity, Side
from guardd.policy.cases.language import (
    FIGURES,
    Bracket,
    Case,
    CaseFile,
    Entering,
    Expected,
    Holding,
    Listing,
    Owner,
    Telling,
    Track,
    TrackKind,
    Trouble,
    VenueKind,
)
from guardd.policy.cases.notation import Gap, Misread, Sample, read_samples
from guardd.policy.grammar import read_items, read_table, read_text, read_word
from guardd.policy.language import Unit
from guardd.policy.nodes import Entry, Faults, Items, Place, Table, Text, Value, described, read_nodes, shown
from guardd.policy.values import read_number

VERSION: Final = "1"
FILE_KEYS: Final = ("version", "policy", "interval", "start", "instruments", "account", "cases")
CASE_KEYS: Final = ("name", "interval", "start", "lasts", "account", "positions", "orders", "series", "decisions")
LISTING_KEYS: Final = ("tick", "step", "contract_size", "min_size", "max_market_size", "taker_fee", "tiers")
TIER_KEYS: Final = ("up_to", "maintenance", "max_leverage")
OWNER_KEYS: Final = ("name", "venue", "equity", "spot", "margin_mode", "position_mode", "leverage")
HOLDING_KEYS: Final = ("symbol", "side", "quantity", "entry", "margin_mode", "leverage", "margin", "opens")
ENTERING_KEYS: Final = ("symbol", "side", "price", "quantity", "placed")
DECISION_KEYS: Final = ("at", "expect")
EXPECTED_KEYS: Final = ("rule", "action", "symbol", "side", "severity", *FIGURES)
TELLING_KEYS: Final = ("told", "severity")
NOTIFY: Final = "notify"
LIQUIDATED: Final = "liquidated"
ACTIONS: Final = (*(str(action) for action in Action if action is not Action.CANCEL_PROTECTION), NOTIFY, LIQUIDATED)
"""What can be expected. Replacing and clearing away our own stops is housekeeping and no decision."""
FIGURE_UNITS: Final[Mapping[str, Unit]] = {
    "size": Unit.NUMBER,
    "price": Unit.PRICE,
    "leverage": Unit.NUMBER,
    "amount": Unit.MONEY,
}
STEPS_MAX: Final = 10_000
NOON_S: Final = Decimal(43_200)
DEFAULT_FEE: Final = Decimal("0.0006")
UNBOUNDED: Final = Decimal(1_000_000_000)
_Read = TypeVar("_Read")
_Word = TypeVar("_Word", VenueKind, MarginMode, PositionMode, Severity, Side)


def load_cases(text: str, *, source: str) -> CaseFile:
    """The cases in `text`. Raises `ConfigurationError` with one line `source:line:column: …` for each fault of the file."""
    faults = Faults(source)
    root = read_nodes(text, faults)
    found = None if root is None else _Reading(faults).file(root)
    if found is None or not faults.empty:
        raise faults.error()
    return replace(found, source=source)


class _Reading:
    """One reading of one file: what its pieces default to, and what is wrong with it."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.interval_s, self.start_s = Decimal(1), NOON_S
        self.owner = Owner()
        self.listings: tuple[Listing, ...] = ()

    def file(self, root: Value) -> CaseFile | None:
        table = read_table(root, "a file of cases with version, instruments, account and cases", FILE_KEYS, self.faults)
        if table is None:
            return None
        version = table.entries.get("version")
        if version is None or not isinstance(version.value, Text) or version.value.value != VERSION:
            self.faults.expected(
                table.place if version is None else version.value.place, "no such version", "version: 1"
            )
        policy = self._text(table, "policy", "the policy's file, relative to this one")
        self.interval_s = self._interval(table, self.interval_s)
        self.start_s = self._start(table, self.start_s)
        self.listings = self._listings(table)
        self.owner = self._owner(table, Owner())
        cases = self._list(table, "cases", "a list of cases", self._case, required=True)
        names: dict[str, int] = {}
        for case in cases:
            if case.name in names:
                self.faults.add(Place(case.line, 1), f"found the name {shown(case.name)} a second time")
            names[case.name] = case.line
        return CaseFile(policy=policy, cases=cases)

    # What stands behind the cases

    def _listings(self, table: Table) -> tuple[Listing, ...]:
        entry = table.entries.get("instruments")
        if entry is None or not isinstance(entry.value, Table):
            place = table.place if entry is None else entry.value.place
            self.faults.expected(place, "no `instruments`", "instruments: {BTCUSDT: {tick: 0.1, tiers: [...]}}")
            return ()
        read = [self._listing(symbol, each) for symbol, each in entry.value.entries.items()]
        return tuple(listing for listing in read if listing is not None)

    def _listing(self, symbol: str, entry: Entry) -> Listing | None:
        table = read_table(entry.value, f"the instrument {symbol}", LISTING_KEYS, self.faults)
        if table is None:
            return None
        tick = self._number(table, "tick", Unit.PRICE)
        tiers = self._list(table, "tiers", "margin tiers, smallest first", self._tier, required=True)
        if tick is None or not tiers:
            self.faults.expected(table.place, f"{symbol} without tick or tiers", "{tick: 0.1, tiers: [{up_to: …}]}")
            return None
        step = self._number(table, "step", Unit.NUMBER) or Decimal(1)
        return Listing(
            symbol=symbol,
            tick=tick,
            step=step,
            contract_size=self._number(table, "contract_size", Unit.NUMBER) or Decimal(1),
            min_size=self._number(table, "min_size", Unit.NUMBER) or step,
            max_market_size=self._number(table, "max_market_size", Unit.NUMBER) or UNBOUNDED * step,
            taker_fee=_or(self._number(table, "taker_fee", Unit.RATIO, zero=True), DEFAULT_FEE),
            tiers=tiers,
        )

    def _tier(self, value: Value) -> Bracket | None:
        table = read_table(
            value, "a tier {up_to: 500000 USDT, maintenance: 0.5%, max_leverage: 100}", TIER_KEYS, self.faults
        )
        if table is None:
            return None
        up_to = self._number(table, "up_to", Unit.MONEY)
        maintenance = self._number(table, "maintenance", Unit.RATIO)
        most = self._number(table, "max_leverage", Unit.NUMBER)
        if up_to is None or maintenance is None or most is None:
            self.faults.expected(table.place, "a tier without up_to, maintenance or max_leverage", "all three")
            return None
        return Bracket(up_to=up_to, maintenance=maintenance, max_leverage=most)

    def _owner(self, table: Table, default: Owner) -> Owner:
        entry = table.entries.get("account")
        found = None if entry is None else read_table(entry.value, "the account", OWNER_KEYS, self.faults)
        if found is None:
            return default
        modes = self._word(found, "margin_mode", MarginMode)
        return Owner(
            name=self._text(found, "name", "the account's name") or default.name,
            venue=self._word(found, "venue", VenueKind) or default.venue,
            equity=_or(self._number(found, "equity", Unit.MONEY), default.equity),
            spot=_or(self._number(found, "spot", Unit.MONEY, zero=True), default.spot),
            margin_mode=modes or default.margin_mode,
            position_mode=self._word(found, "position_mode", PositionMode) or default.position_mode,
            leverage=_or(self._number(found, "leverage", Unit.NUMBER), default.leverage),
        )

    # One case

    def _case(self, value: Value) -> Case | None:
        table = read_table(value, "a case with name, positions, series and decisions", CASE_KEYS, self.faults)
        if table is None:
            return None
        before, self.owner = self.owner, self._owner(table, self.owner)
        interval_s = self._interval(table, self.interval_s)
        tracks = self._list(table, "series", "a list of series", self._track)
        decisions, told = self._decisions(table)
        lasts_s = self._number(table, "lasts", Unit.DURATION)
        if lasts_s is None:
            ends = [(len(track.samples) - 1) * interval_s for track in tracks]
            ends += [each.at_s + interval_s for each in decisions]
            ends += [each.at_s + interval_s for each in told]
            lasts_s = max(ends, default=interval_s)
        case = Case(
            name=self._text(table, "name", "a name") or "",
            line=table.place.line,
            interval_s=interval_s,
            start_s=self._start(table, self.start_s),
            lasts_s=lasts_s,
            owner=self.owner,
            listings=self.listings,
            holdings=self._list(table, "positions", "a list of positions", self._holding),
            entering=self._list(table, "orders", "a list of resting entries", self._entry),
            tracks=tracks,
            decisions=decisions,
            told=told,
        )
        self.owner = before
        self._check(case, table)
        return case

    def _check(self, case: Case, table: Table) -> None:
        """What only the whole case tells."""
        if not case.name:
            self.faults.expected(table.place, "a case without a name", "name: what it shows")
        if case.owner.equity <= 0:
            self.faults.expected(table.place, "no equity", "account: {equity: 10000 USDT}, here or for the whole file")
        if case.lasts_s / case.interval_s > STEPS_MAX:
            self.faults.expected(table.place, f"{case.lasts_s} s", f"at most {STEPS_MAX} steps")
        for holding in case.holdings:
            track = case.track(TrackKind.MARK, holding.symbol)
            if track is None or isinstance(track.samples[0], Gap):
                self.faults.expected(
                    table.place, f"no first mark of {holding.symbol}", "a series of its mark from 0s on"
                )
        ats = [(each.at_s, each.line) for each in case.decisions] + [(each.at_s, each.line) for each in case.told]
        for at_s, line in ats:
            if at_s > case.lasts_s:
                self.faults.add(Place(line, 1), f"found {at_s} s, the case lasts {case.lasts_s} s")

    def _holding(self, value: Value) -> Holding | None:
        what = "a position such as {symbol: BTCUSDT, side: long, quantity: 100, entry: 90000}"
        table = read_table(value, what, HOLDING_KEYS, self.faults)
        if table is None:
            return None
        symbol, side = self._symbol(table, "symbol"), self._word(table, "side", Side)
        quantity, entry = self._number(table, "quantity", Unit.NUMBER), self._number(table, "entry", Unit.PRICE)
        if symbol is None or side is None or quantity is None or entry is None:
            self.faults.expected(table.place, "a position without symbol, side, quantity or entry", what)
            return None
        return Holding(
            symbol=symbol,
            side=side,
            quantity=quantity,
            entry=entry,
            margin_mode=self._word(table, "margin_mode", MarginMode) or self.owner.margin_mode,
            leverage=_or(self._number(table, "leverage", Unit.NUMBER), self.owner.leverage),
            margin=self._number(table, "margin", Unit.MONEY),
            opens_s=_or(self._number(table, "opens", Unit.DURATION, zero=True), Decimal(0)),
        )

    def _entry(self, value: Value) -> Entering | None:
        what = "an entry such as {symbol: BTCUSDT, side: long, price: 85000, quantity: 10}"
        table = read_table(value, what, ENTERING_KEYS, self.faults)
        if table is None:
            return None
        symbol, side = self._symbol(table, "symbol"), self._word(table, "side", Side)
        price, quantity = self._number(table, "price", Unit.PRICE), self._number(table, "quantity", Unit.NUMBER)
        if symbol is None or side is None or price is None or quantity is None:
            self.faults.expected(table.place, "an entry without symbol, side, price or quantity", what)
            return None
        placed_s = _or(self._number(table, "placed", Unit.DURATION, zero=True), Decimal(0))
        return Entering(symbol=symbol, side=side, price=price, quantity=quantity, placed_s=placed_s)

    # Series

    def _track(self, value: Value) -> Track | None:
        what = 'a series such as {mark: BTCUSDT, values: "90000-100x20"}'
        table = read_table(value, what, ("values", *TrackKind), self.faults)
        if table is None:
            return None
        kinds = [kind for kind in TrackKind if kind in table.entries]
        if len(kinds) != 1 or "values" not in table.entries:
            self.faults.expected(table.place, f"{len(kinds)} names of series", what)
            return None
        of = self._of(kinds[0], table.entries[kinds[0]].value)
        samples = self._samples(table.entries["values"].value, kinds[0])
        if of is None or samples is None:
            return None
        return Track(kind=kinds[0], of=of, samples=samples, line=table.place.line)

    def _of(self, kind: TrackKind, value: Value) -> str | None:
        match kind:
            case TrackKind.FAULT:
                return read_word(value, Trouble, "fault", self.faults)
            case TrackKind.EQUITY | TrackKind.WALLET:
                return read_text(value, "a coin such as USDT", self.faults)
            case _:
                return self._known(value)

    def _samples(self, value: Value, kind: TrackKind) -> tuple[Sample, ...] | None:
        text = read_text(value, "samples such as 90000-100x20", self.faults)
        if text is None:
            return None
        samples = read_samples(text)
        if isinstance(samples, Misread):
            self.faults.expected(value.place, shown(samples.word), samples.expected)
            return None
        wrong = next((each for each in samples if _impossible(each, kind)), None)
        if wrong is not None or not samples:
            self.faults.expected(value.place, f"the sample {wrong}", _POSSIBLE[kind])
            return None
        return samples

    # What is expected

    def _decisions(self, table: Table) -> tuple[tuple[Expected, ...], tuple[Telling, ...]]:
        expected: list[Expected] = []
        told: list[Telling] = []
        entry = table.entries.get("decisions")
        values = entry.value.items if entry is not None and isinstance(entry.value, Items) else ()
        if entry is not None and not isinstance(entry.value, Items):
            self.faults.expected(entry.value.place, described(entry.value), "a list of {at: 12s, expect: [...]}")
        for value in values:
            at = read_table(value, "{at: 12s, expect: [...]}", DECISION_KEYS, self.faults)
            at_s = None if at is None else self._number(at, "at", Unit.DURATION, zero=True)
            expect = None if at is None else at.entries.get("expect")
            items = None if expect is None else read_items(expect.value, "a list of decisions", self.faults)
            if at_s is None or items is None:
                self.faults.expected(value.place, "no `at` or no `expect`", "{at: 12s, expect: [...]}")
                continue
            for item in items:
                if isinstance(item, Table) and "told" in item.entries:
                    told.extend(self._telling(item, at_s))
                else:
                    expected.extend(self._expected(item, at_s))
        return tuple(expected), tuple(told)

    def _expected(self, value: Value, at_s: Decimal) -> list[Expected]:
        what = "a decision such as {rule: trim, action: reduce, size: 40}"
        table = read_table(value, what, EXPECTED_KEYS, self.faults)
        if table is None:
            return []
        rule, action = self._text(table, "rule", "the rule's name"), self._text(table, "action", "an action")
        if action is not None and action not in ACTIONS:
            self.faults.unknown(table.entries["action"].value.place, action, "action", ACTIONS)
            return []
        if action is None or (rule is None and action != LIQUIDATED):
            self.faults.expected(table.place, "a decision without rule or action", what)
            return []
        figures = {name: self._number(table, name, FIGURE_UNITS[name], zero=True) for name in FIGURES}
        return [
            Expected(
                at_s=at_s,
                line=table.place.line,
                rule=rule or "",
                action=action,
                symbol=self._symbol(table, "symbol"),
                side=self._word(table, "side", Side),
                figures={name: number for name, number in figures.items() if number is not None},
                severity=self._word(table, "severity", Severity),
            )
        ]

    def _telling(self, value: Value, at_s: Decimal) -> list[Telling]:
        table = read_table(value, "{told: some words, severity: critical}", TELLING_KEYS, self.faults)
        words = None if table is None else self._text(table, "told", "words that are told")
        if table is None or words is None:
            return []
        severity = self._word(table, "severity", Severity)
        return [Telling(at_s=at_s, line=table.place.line, words=words, severity=severity)]

    # The small pieces

    def _interval(self, table: Table, default: Decimal) -> Decimal:
        return self._number(table, "interval", Unit.DURATION) or default

    def _start(self, table: Table, default: Decimal) -> Decimal:
        return _or(self._number(table, "start", Unit.DURATION, zero=True), default)

    def _number(self, table: Table, name: str, unit: Unit, *, zero: bool = False) -> Decimal | None:
        entry = table.entries.get(name)
        number = None if entry is None else read_number(entry.value, unit, self.faults)
        if entry is not None and number is not None and (number < 0 or (number == 0 and not zero)):
            self.faults.expected(entry.value.place, str(number), f"a `{name}` above zero")
            return None
        return number

    def _text(self, table: Table, name: str, what: str) -> str | None:
        entry = table.entries.get(name)
        return None if entry is None else read_text(entry.value, what, self.faults)

    def _word(self, table: Table, name: str, words: type[_Word]) -> _Word | None:
        entry = table.entries.get(name)
        return None if entry is None else read_word(entry.value, words, name, self.faults)

    def _symbol(self, table: Table, name: str) -> str | None:
        entry = table.entries.get(name)
        return None if entry is None else self._known(entry.value)

    def _known(self, value: Value) -> str | None:
        symbol = read_text(value, "a symbol", self.faults)
        known = [listing.symbol for listing in self.listings]
        if symbol is not None and symbol not in known:
            self.faults.unknown(value.place, symbol, "symbol", known)
            return None
        return symbol

    def _list(
        self, table: Table, name: str, what: str, read: Callable[[Value], _Read | None], *, required: bool = False
    ) -> tuple[_Read, ...]:
        entry = table.entries.get(name)
        if entry is None:
            if required:
                self.faults.expected(table.place, f"no `{name}`", what)
            return ()
        items = read_items(entry.value, what, self.faults) or ()
        found = [read(item) for item in items]
        return tuple(each for each in found if each is not None)


_POSSIBLE: Final[Mapping[TrackKind, str]] = {
    TrackKind.MARK: "prices above zero, _ and stale",
    TrackKind.INDEX: "prices above zero",
    TrackKind.LAST: "prices above zero",
    TrackKind.FRAME: "prices above zero, and _ where it says the mark",
    TrackKind.EQUITY: "amounts above zero, and _ where it follows the prices",
    TrackKind.WALLET: "amounts above zero, and _ where nothing changes it",
    TrackKind.FUNDING: "rates such as 0.0001 or -0.01, and _ where nothing is settled",
    TrackKind.FAULT: "0 (well) and 1 (the fault)",
}


def _impossible(sample: Sample, kind: TrackKind) -> bool:
    match kind:
        case TrackKind.FAULT:
            return sample not in (Decimal(0), Decimal(1))
        case TrackKind.MARK:
            return not isinstance(sample, Gap) and sample <= 0
        case TrackKind.INDEX | TrackKind.LAST:
            return isinstance(sample, Gap) or sample <= 0
        case TrackKind.FUNDING:
            return sample is Gap.STALE or (not isinstance(sample, Gap) and abs(sample) >= 1)
        case TrackKind.FRAME | TrackKind.EQUITY | TrackKind.WALLET:
            return sample is Gap.STALE or (not isinstance(sample, Gap) and sample <= 0)


def _or(found: Decimal | None, default: Decimal) -> Decimal:
    return default if found is None else found
