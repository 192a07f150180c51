"""The receivers of messages and the dead man's switch, looked at: are they there, does Apprise understand them, does one arrive."""

from collections.abc import AsyncIterator
from typing import Final

from guardd.cli.exits import Exit
from guardd.cli.findings import Finding, Weight
from guardd.cli.mends import mend
from guardd.clock import Clock
from guardd.config import NotifySettings, Secrets, Settings
from guardd.errors import CredentialsError
from guardd.model.facts import Said
from guardd.model.names import Severity
from guardd.telemetry.courier import Courier
from guardd.telemetry.errand import FOR_GOOD, NO_APPRISE, Errand
from guardd.telemetry.notify import Receiver, by_apprise, deliver_once

TEST_TEXT: Final = "a test message of guardd check: if you read this, messages arrive"
_FORMS: Final = "https://appriseit.com lists the forms, such as tgram://TOKEN/CHAT; try it with --test-message"


async def of_receivers(settings: Settings, secrets: Secrets, clock: Clock, *, send: bool) -> AsyncIterator[Finding]:
    """`send`: a test message goes to each receiver. The dead man's switch is never asked: that would tell it all is well."""
    if not settings.notify:
        text = "no receiver of messages: people are told by the log and the page alone"
        yield Finding(weight=Weight.NOTE, where="notify", text=text, mend="notify: [{url: env:NAME}] in the settings")
    for receiver in settings.notify:
        try:
            url = secrets.notify_url(receiver)
        except CredentialsError as error:
            yield _missing(error, "notify")
            continue
        if by_apprise(url):
            look = Errand(url=url, title="", text="", severity="info", look_only=True)
            courier = Courier()
            answer = await courier.carry(look)
            await courier.close()
            if answer in FOR_GOOD:
                mended = "pip install apprise" if answer == NO_APPRISE else _FORMS
                code = Exit.CONFIGURATION
                yield Finding(weight=Weight.ERROR, where=receiver.url, text=answer, mend=mended, code=code)
                continue
        if send:
            yield await _sent(receiver, url, clock)
    if settings.heartbeat is not None:
        try:
            secrets.heartbeat_url(settings.heartbeat)
        except CredentialsError as error:
            yield _missing(error, "heartbeat")


async def _sent(receiver: NotifySettings, url: str, clock: Clock) -> Finding:
    said = Said(account=None, severity=Severity.INFO, edge="test", text=TEST_TEXT, at=clock.now())
    problem = await deliver_once(Receiver(name=receiver.url, url=url), said)
    if problem is None:
        text, look = "a test message went out", "see that it arrived"
        return Finding(weight=Weight.NOTE, where=receiver.url, text=text, mend=look)
    mended = "is the token alive, the chat right, and does a firewall let it out?"
    return Finding(weight=Weight.ERROR, where=receiver.url, text=f"a test message failed: {problem}", mend=mended)


def _missing(error: CredentialsError, where: str) -> Finding:
    return Finding(weight=Weight.ERROR, where=where, text=str(error), mend=mend(error), code=Exit.CREDENTIALS)
