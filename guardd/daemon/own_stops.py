"""Stops that no form at the venue would take: the guard keeps them itself, and closes at their price once it is confirmed."""

from guardd.daemon.hands import Hands
from guardd.daemon.reader import Reader
from guardd.daemon.telling import Teller
from guardd.execution.proposal import SoftwareStop
from guardd.model.decision import Close, Decision, Reduce, finish_name
from guardd.model.event import MarkSeen
from guardd.model.names import PositionKey, RuleName, Severity, Side
from guardd.model.state import AccountState, Held
from guardd.policy.confirm import Confirmation, Verdict

SOFTWARE_STOP = RuleName("software-stop")


class OwnStops:
    """One account's. `Hands` knows which there are; this listens to the marks for them."""

    def __init__(self, *, state: AccountState, hands: Hands, reader: Reader, teller: Teller) -> None:
        self._state = state
        self._hands = hands
        self._reader = reader
        self._teller = teller
        self._confirmation = Confirmation()
        """Apart from the rules': its doubts end by themselves."""

    def keep(self, frame: MarkSeen) -> None:
        """Close at the price of a stop, once the mark is confirmed (I28)."""
        self._confirmation.seen(frame)
        reached = [(key, stop) for key in self._keys(frame) if (stop := self._reached(key, frame)) is not None]
        if not reached:
            self._confirmation.settle(frame.symbol)
        for key, stop in reached:
            held = self._state.held.get(key)
            if held is not None and self._is_confirmed(key, stop, frame):
                self._hands.act((_close(held, stop, frame),), now=frame.at, frame_ns=frame.at.mono_ns)

    def _keys(self, frame: MarkSeen) -> tuple[PositionKey, ...]:
        keys = (PositionKey(self._state.name, frame.symbol, side) for side in Side)
        return tuple(key for key in keys if key in self._hands.software_stops)

    def _reached(self, key: PositionKey, frame: MarkSeen) -> SoftwareStop | None:
        return self._hands.software_stop_reached(key, frame.mark)

    def _is_confirmed(self, key: PositionKey, stop: SoftwareStop, frame: MarkSeen) -> bool:
        verdict = self._confirmation.verdict(
            frame,
            lambda price: self._hands.software_stop_reached(key, price) is not None,
            frame.at,
            self._state.rest_marks.get(frame.symbol),
        )
        if verdict is Verdict.ASK_REST:
            self._reader.want_mark(frame.symbol)
        if verdict is Verdict.UNCONFIRMED:
            text = f"{key}: nothing confirms the mark {frame.mark} for a second (software stop at {stop.trigger_price})"
            self._teller.say(Severity.CRITICAL, f"software-stop/{key}", text, frame.at)
        return verdict is Verdict.CONFIRMED


def _close(held: Held, stop: SoftwareStop, frame: MarkSeen) -> Decision:
    reason = f"software stop at {stop.trigger_price}: mark {frame.mark} ({stop.why})"
    if stop.size is not None and stop.size < held.position.quantity:
        return Reduce(key=held.key, episode=stop.episode, rule=finish_name(stop.slot), size=stop.size, reason=reason)
    return Close(key=held.key, episode=stop.episode, rule=SOFTWARE_STOP, reason=reason)
