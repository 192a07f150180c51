"""The log: for people on a terminal, JSON elsewhere, and never a secret (I26)."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from guardd.model.instant import Instant
from guardd.telemetry.log import configure_log
from guardd.telemetry.redaction import MASK, Redactor

CANARY = "canary\"ü/4f1d9c'+secret"
MOMENT = Instant(0, 1_767_225_600_123)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def configured(stream: io.StringIO, *, form: str = "auto", level: str = "info", secrets: tuple[str, ...] = ()) -> Any:
    configure_log(level=level, form=form, now=lambda: MOMENT, redactor=Redactor(secrets), stream=stream)
    return structlog.stdlib.get_logger("guardd.test")


def test_elsewhere_than_on_a_terminal_a_line_is_json_in_utc() -> None:
    out = io.StringIO()
    configured(out).warning("stream_down", account="main", why="silent for 5 s")
    assert json.loads(out.getvalue()) == {
        "event": "stream_down",
        "account": "main",
        "why": "silent for 5 s",
        "level": "warning",
        "logger": "guardd.test",
        "timestamp": "2026-01-01T00:00:00.123Z",
    }


def test_on_a_terminal_a_line_is_for_people_in_local_time_with_its_offset() -> None:
    out = Terminal()
    configured(out).info("rule_fired", rule="trim")
    local = datetime.fromtimestamp(MOMENT.wall_ms / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")
    assert local in out.getvalue()
    assert "rule_fired" in out.getvalue()
    assert not out.getvalue().startswith("{")


@pytest.mark.parametrize(("form", "stream", "is_json"), [("json", Terminal(), True), ("console", io.StringIO(), False)])
def test_the_form_can_be_said_outright(form: str, stream: io.StringIO, is_json: bool) -> None:
    configured(stream, form=form).info("event")
    assert stream.getvalue().startswith("{") is is_json
    if not is_json:
        assert "\x1b[" not in stream.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    log = configured(out, level="warning")
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud"]


def test_the_standard_librarys_loggers_write_the_same_lines() -> None:
    out = io.StringIO()
    configured(out)
    logging.getLogger("apscheduler.scheduler").warning("job %s missed", "x")
    logging.getLogger("apscheduler.scheduler").info("looked for jobs")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(line["event"], line["logger"]) for line in lines] == [("job x missed", "apscheduler.scheduler")]
    assert lines[0]["timestamp"] == "2026-01-01T00:00:00.123Z"


def raise_with(text: str) -> None:
    local = text
    raise ValueError(f"refused {local}")


@pytest.mark.parametrize("form", ["json", "console"])
def test_I26_a_loaded_secret_appears_nowhere_in_a_line(form: str) -> None:
    out = io.StringIO()
    log = configured(out, form=form, secrets=(CANARY,))
    log.info("event", text=f"x{CANARY}y", nested={"deep": [CANARY, {"k": CANARY}]}, thing=object())
    log.info(f"event with {CANARY}")
    logging.getLogger("aiohttp.client").warning("GET https://host/?token=%s", CANARY)
    try:
        raise_with(CANARY)
    except ValueError:
        log.exception("task_failed", task="x")
        logging.getLogger("other").exception("failed")
    written = out.getvalue()
    assert MASK in written
    assert "ValueError" in written
    for part in ("4f1d9c", "canary"):
        assert part not in written


@pytest.mark.parametrize("form", ["json", "console"])
def test_I26_a_traceback_shows_no_values_of_variables(form: str) -> None:
    out = io.StringIO()
    log = configured(out, form=form)
    try:
        unloaded = "nobody-told-the-redactor"
        raise ValueError("plain" + unloaded[:0])
    except ValueError:
        log.exception("task_failed")
    assert "nobody-told-the-redactor" not in out.getvalue().replace('unloaded = "nobody-told-the-redactor"', "")


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "API_SECRET",
        "secret",
        "token",
        "http_token",
        "memo",
        "passphrase",
        "Authorization",
        "X-BM-KEY",
        "sign",
    ],
)
def test_I26_a_field_that_says_it_is_a_secret_is_masked_whatever_it_holds(name: str) -> None:
    out = io.StringIO()
    configured(out).info("event", **{name: CANARY})
    assert json.loads(out.getvalue())[name] == MASK


@pytest.mark.parametrize(
    "text",
    [
        "X-BM-KEY: abc123def",
        "Authorization: Bearer abc123def",
        "{'api_key': 'abc123def', 'size': 3}",
        '{"BITMART_API_SECRET": "abc123def"}',
        "url?token=abc123def&x=1",
        "passphrase = abc123def",
    ],
)
def test_I26_what_stands_behind_a_secrets_name_is_masked_though_nobody_loaded_it(text: str) -> None:
    assert "abc123def" not in Redactor()(text)


@pytest.mark.parametrize(
    "text",
    [
        "BITMART_API_KEY missing; looked in the environment",
        "tokens: 5 left of 24",
        "signal: SIGHUP, policy reloaded",
        "the design: fine, size=3",
        "memorable: yes",
    ],
)
def test_words_that_only_look_like_a_secrets_name_stay_readable(text: str) -> None:
    assert Redactor()(text) == text


def test_a_short_secret_is_masked_where_it_stands_alone_and_words_stay_whole() -> None:
    assert Redactor(["main"])("main mainly (main) domain") == f"{MASK} mainly ({MASK}) domain"


def test_what_is_learnt_later_is_masked_from_then_on_and_never_shown() -> None:
    redactor = Redactor()
    assert redactor("tell abcdef-123456") == "tell abcdef-123456"
    redactor.learn(["abcdef-123456", ""])
    assert redactor("tell abcdef-123456") == f"tell {MASK}"
    assert "abcdef" not in repr(redactor)
