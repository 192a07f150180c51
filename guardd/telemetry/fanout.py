"""One listener that hands each fact to several, in the order given."""

from guardd.model.facts import Fact, Listener


class Fanout:
    """The daemon's only listener. Those behind it obey the same law: they don't block, raise or answer."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Listener) -> None:
        """Hand it every fact from now on."""
        self._listeners.append(listener)

    def __call__(self, fact: Fact, /) -> None:
        for listener in self._listeners:
            listener(fact)
