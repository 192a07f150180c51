"""Every error guardd raises on purpose. The class says whose fault it is; the text: where, what was found, what was expected.

Errors carry no credentials, no signatures and no full request (invariant I26).
"""


class GuarddError(Exception):
    """Base of all of them; never raised itself."""


class ConfigurationError(GuarddError):
    """The user's settings or policy can't be used (exit code 78)."""


class CredentialsError(GuarddError):
    """A credential is missing, or the venue refuses it (exit code 77). Names the variable, never its value."""


class InvariantBroken(GuarddError):
    """Something that must always hold did not: the account is parked, nothing is guessed."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


class JournalError(GuarddError):
    """The journal can't be read or made durable; nothing is sent that it doesn't hold."""


class VenueError(GuarddError):
    """A read from the venue gave no usable answer."""


class VenueUnreachable(VenueError):
    """No answer: refused, timed out, reset, or a 5xx that isn't the API's (exit code 69)."""


class VenueBusy(VenueError):
    """The request was not sent, or was turned away, because of a rate limit, a block or a ban."""


class VenueRefused(VenueError):
    """The venue answered with an error of its own."""

    def __init__(self, *, endpoint: str, code: str, text: str) -> None:
        super().__init__(f"{endpoint}: the venue answered code {code}: {text}")
        self.endpoint = endpoint
        self.code = code
        self.text = text


class PayloadError(VenueError):
    """The venue's answer or frame has not the documented shape. It is never read as anything safe."""

    def __init__(self, *, where: str, found: str, expected: str) -> None:
        super().__init__(f"{where}: found {found}, expected {expected}")
        self.where = where
