"""Secrets: where they are looked for, in which order, and that nothing shows them (I26)."""

from pathlib import Path

import pytest

from guardd.config import AccountSettings, NotifySettings, Secrets, Settings, Venue
from guardd.errors import CredentialsError

NAMES = ("BITMART_API_KEY", "BITMART_API_SECRET", "BITMART_API_MEMO")
ACCOUNT = AccountSettings(name="main", venue=Venue.BITMART)
CANARY = "canary-77ab01"


def settings(secrets_dir: Path | None = None, token: str | None = None) -> Settings:
    http = {"token": token} if token is not None else {}
    return Settings.model_validate({"accounts": [ACCOUNT], "secrets_dir": secrets_dir, "http": http})


def folder(path: Path, **values: str) -> Path:
    path.mkdir()
    for name, value in values.items():
        (path / name).write_text(value)
    return path


def test_each_secret_is_taken_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    systemd = folder(tmp_path / "systemd", BITMART_API_KEY="from-systemd\n")
    mounted = folder(tmp_path / "mounted", BITMART_API_KEY="x", BITMART_API_SECRET="from-mount\r\n")
    dotenv = tmp_path / ".env"
    dotenv.write_text("BITMART_API_KEY=y\nBITMART_API_SECRET=y\nBITMART_API_MEMO=y\n")
    environ = {"CREDENTIALS_DIRECTORY": str(systemd), "BITMART_API_SECRET": "z", "BITMART_API_MEMO": "from env"}
    found = Secrets.of(settings(mounted), environ=environ, dotenv=dotenv).credentials(ACCOUNT)
    assert (found.key, found.secret, found.phrase) == ("from-systemd", "from-mount", "from env")


def test_dotenv_is_the_last_place_and_its_dollars_are_not_expanded(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("".join(f"{name}=a${{HOME}}b\n" for name in NAMES))
    found = Secrets.of(settings(), environ={}, dotenv=dotenv).credentials(ACCOUNT)
    assert found.secret == "a${HOME}b"


def test_the_prefix_of_an_account_decides_the_names() -> None:
    environ = {"HEDGE_API_KEY": "k", "HEDGE_API_SECRET": "s", "HEDGE_API_PASSPHRASE": "p"}
    account = AccountSettings(name="hedge", venue=Venue.BITGET, credentials="HEDGE")
    found = Secrets.of(settings(), environ=environ, dotenv=None).credentials(account)
    assert (found.key, found.secret, found.phrase) == ("k", "s", "p")


@pytest.mark.parametrize("empty", [{}, {"BITMART_API_SECRET": ""}])
def test_a_missing_or_empty_secret_is_named_with_the_places_looked_at(tmp_path: Path, empty: dict[str, str]) -> None:
    environ = {"BITMART_API_KEY": CANARY, **empty}
    secrets = Secrets.of(settings(folder(tmp_path / "mounted")), environ=environ, dotenv=None)
    with pytest.raises(CredentialsError) as caught:
        secrets.credentials(ACCOUNT)
    told = str(caught.value)
    assert told == (
        "account main: BITMART_API_SECRET, BITMART_API_MEMO missing; "
        f"looked in {tmp_path / 'mounted'}, the environment, .env"
    )
    assert CANARY not in told


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    mounted = folder(tmp_path / "mounted")
    (mounted / "BITMART_API_KEY").mkdir()
    with pytest.raises(CredentialsError, match="BITMART_API_KEY: can't be read"):
        Secrets.of(settings(mounted), environ={}, dotenv=None).credentials(ACCOUNT)


def test_I26_the_text_of_credentials_and_secrets_holds_no_value() -> None:
    secrets = Secrets.of(settings(), environ=dict.fromkeys(NAMES, CANARY), dotenv=None)
    found = secrets.credentials(ACCOUNT)
    assert CANARY not in repr(found) + str(found) + repr(secrets)
    assert CANARY in secrets.loaded


def test_a_notify_address_comes_from_the_place_that_was_named(tmp_path: Path) -> None:
    mounted = folder(tmp_path / "mounted", HOOK="https://file.example/x\n")
    secrets = Secrets.of(settings(mounted), environ={"HOOK": "https://env.example/x"}, dotenv=None)
    assert secrets.notify_url(NotifySettings(url="env:HOOK")) == "https://env.example/x"
    assert secrets.notify_url(NotifySettings(url="secret:HOOK")) == "https://file.example/x"
    assert {"https://env.example/x", "https://file.example/x"} <= secrets.loaded


@pytest.mark.parametrize(
    ("url", "place"), [("env:NOPE", "the environment"), ("secret:NOPE", "no secrets directory is set")]
)
def test_a_missing_notify_address_is_named(url: str, place: str) -> None:
    with pytest.raises(CredentialsError, match=f"notify: NOPE missing; looked in {place}"):
        Secrets.of(settings(), environ={}, dotenv=None).notify_url(NotifySettings(url=url))


def test_the_http_token_may_be_a_file_and_is_known_to_redaction(tmp_path: Path) -> None:
    mounted = folder(tmp_path / "mounted", GUARDD_HTTP__TOKEN="from-file\n")
    in_file, in_settings, nowhere = settings(mounted), settings(token="from-env"), settings()
    assert Secrets.of(in_file, environ={}, dotenv=None).http_token(in_file) == "from-file"
    secrets = Secrets.of(in_settings, environ={}, dotenv=None)
    assert secrets.http_token(in_settings) == "from-env"
    assert secrets.loaded == {"from-env"}
    assert Secrets.of(nowhere, environ={}, dotenv=None).http_token(nowhere) is None


def test_I26_a_watcher_hears_every_secret_that_is_handed_out_whenever_that_is() -> None:
    heard: list[str] = []
    secrets = Secrets.of(settings(), environ={"BEFORE": "first", "AFTER": "second"}, dotenv=None)
    secrets.find("BEFORE")
    secrets.watch(heard.extend)
    for name in ("AFTER", "AFTER", "NOWHERE"):
        secrets.find(name)
    assert heard == ["first", "second"]
