"""Settings: where they come from, what is refused, and how a mistake is told (interfaces.md section 1)."""

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from guardd.config import Environment, Mode, Settings, Venue, load_settings, settings_schema
from guardd.errors import ConfigurationError
from guardd.model.names import Severity

REPOSITORY = Path(__file__).resolve().parents[2]
ACCOUNT = "accounts:\n  - {name: main, venue: bitmart}\n"
CANARY = "canary-4f1d9c-secret"


def written(folder: Path, text: str) -> Path:
    file = folder / "guardd.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str = ACCOUNT, **environ: str) -> Settings:
    return load_settings(written(folder, text), environ=environ, dotenv=None)


def refusal(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(written(folder, text), environ=environ or {}, dotenv=None)
    return str(caught.value).replace(f"{folder}/", "")


def test_one_account_is_all_that_must_be_said(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert settings.mode is Mode.OBSERVE
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 9517)
    assert settings.rate_limit_share == 0.7
    assert settings.accounts[0].environment is Environment.LIVE
    assert settings.accounts[0].credential_names == ("BITMART_API_KEY", "BITMART_API_SECRET", "BITMART_API_MEMO")


def test_the_second_venue_in_the_shipped_file_is_valid_once_it_is_uncommented(tmp_path: Path) -> None:
    text = (REPOSITORY / "config" / "guardd.yaml").read_text(encoding="utf-8")
    head, mark, tail = text.partition("#  - name: hedge\n")
    assert mark
    settings = loaded(tmp_path, head + "  - name: hedge\n" + tail.replace("\n#  ", "\n  ").removeprefix("#"))
    assert [account.venue for account in settings.accounts] == [Venue.BITMART, Venue.BITGET]
    assert settings.accounts[1].credential_names == ("BITGET_API_KEY", "BITGET_API_SECRET", "BITGET_API_PASSPHRASE")
    assert settings.accounts[1].product_type == ("USDT-FUTURES", "USDC-FUTURES")


def test_the_command_line_beats_the_environment_beats_dotenv_beats_the_file_beats_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "log: {level: debug, format: json}\nhttp: {port: 1, host: 0.0.0.0}\n" + ACCOUNT)
    dotenv = tmp_path / ".env"
    dotenv.write_text("GUARDD_HTTP__PORT=2\nGUARDD_LOG__LEVEL=warning\nOTHER=x\n")
    environ = {"GUARDD_HTTP__PORT": "3", "HOME": "/nowhere"}
    settings = load_settings(file, overrides={"mode": "enforce"}, environ=environ, dotenv=dotenv)
    assert settings.mode is Mode.ENFORCE
    assert settings.http.port == 3
    assert settings.log.level == "warning"
    assert settings.log.format == "json"
    assert settings.http.host == "0.0.0.0"
    overruled = load_settings(file, overrides={"http": {"port": 4}}, environ=environ, dotenv=dotenv)
    assert overruled.http.port == 4


def test_paths_in_the_file_are_relative_to_it_and_others_to_the_working_directory(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: p/policy.yaml\nsecrets_dir: ./s\n" + ACCOUNT)
    settings = load_settings(file, environ={"GUARDD_DATA_DIR": "elsewhere"}, dotenv=None)
    assert settings.policy == tmp_path / "p/policy.yaml"
    assert settings.secrets_dir == tmp_path / "s"
    assert settings.data_dir == Path.cwd() / "elsewhere"
    assert loaded(tmp_path).data_dir == tmp_path / "data"
    assert loaded(tmp_path, GUARDD_DATA_DIR="/var/lib/guardd").data_dir == Path("/var/lib/guardd")


def test_accounts_may_come_from_the_environment_alone() -> None:
    environ = {"GUARDD_ACCOUNTS": '[{"name": "hedge", "venue": "bitget", "product_type": "USDT-FUTURES"}]'}
    settings = load_settings(None, environ=environ, dotenv=None)
    assert settings.accounts[0].venue is Venue.BITGET
    assert settings.accounts[0].product_type == ("USDT-FUTURES",)
    assert settings.accounts[0].credential_names == ("BITGET_API_KEY", "BITGET_API_SECRET", "BITGET_API_PASSPHRASE")


def test_an_account_may_be_stricter_than_the_whole_and_never_laxer(tmp_path: Path) -> None:
    text = "accounts:\n  - {name: a, venue: bitmart, mode: observe}\n  - {name: b, venue: bitmart, mode: enforce}\n"
    enforcing = loaded(tmp_path, text, GUARDD_MODE="enforce")
    assert [enforcing.mode_of(account) for account in enforcing.accounts] == [Mode.OBSERVE, Mode.ENFORCE]
    observing = loaded(tmp_path, text, GUARDD_MODE="observe")
    assert [observing.mode_of(account) for account in observing.accounts] == [Mode.OBSERVE, Mode.OBSERVE]


def test_every_mistake_is_told_with_its_place_and_what_was_found(tmp_path: Path) -> None:
    text = "mode: observ\nhtpp: {port: 1}\nhttp:\n  port: abc\nlog: {levle: info}\naccounts:\n  - name: a b\n    venue: binance\n"
    assert refusal(tmp_path, text).splitlines() == [
        "guardd.yaml:1:1: mode: found 'observ': Input should be 'observe' or 'enforce'",
        "guardd.yaml:4:3: http.port: found 'abc': Input should be a valid integer, unable to parse string as an integer",
        "guardd.yaml:5:7: log.levle: no such setting; did you mean level?",
        "guardd.yaml:7:5: accounts[0].name: String should match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'",
        "guardd.yaml:8:5: accounts[0].venue: found 'binance': Input should be 'bitmart' or 'bitget'",
        "guardd.yaml:2:1: htpp: no such setting; did you mean http?",
    ]


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "GUARDD_HTP__PORT",
            "GUARDD_HTP__PORT in the environment: guardd knows no such variable; did you mean GUARDD_HTTP__PORT?",
        ),
        ("GUARDD_HTTP__PROT", "did you mean GUARDD_HTTP__PORT?"),
        ("guardd_mod", "did you mean GUARDD_MODE?"),
        ("GUARDD_HTTP__PORT__DEEPER", "guardd knows no such variable"),
    ],
)
def test_an_unknown_guardd_variable_is_refused_by_name_and_not_by_value(
    tmp_path: Path, variable: str, told: str
) -> None:
    text = refusal(tmp_path, ACCOUNT, {variable: CANARY})
    assert told in text
    assert CANARY not in text


def test_an_unknown_variable_in_dotenv_is_refused_where_it_stands(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("GUARDD_MOOD=enforce\n")
    with pytest.raises(ConfigurationError, match=r"GUARDD_MOOD in .*\.env: guardd knows no such variable"):
        load_settings(written(tmp_path, ACCOUNT), environ={}, dotenv=dotenv)


def test_a_bad_value_of_a_variable_names_the_variable(tmp_path: Path) -> None:
    assert refusal(tmp_path, ACCOUNT, {"GUARDD_HTTP__PORT": "x"}).startswith(
        "GUARDD_HTTP__PORT in the environment: http.port: found 'x'"
    )
    assert (
        refusal(tmp_path, ACCOUNT, {"GUARDD_ACCOUNTS": "[" + CANARY})
        == "GUARDD_ACCOUNTS in the environment: not valid JSON"
    )


@pytest.mark.parametrize("empty", ["GUARDD_CONFIRM", "GUARDD_HTTP__TOKEN", "GUARDD_HTTP__PORT"])
def test_an_empty_variable_counts_as_absent(tmp_path: Path, empty: str) -> None:
    settings = loaded(tmp_path, **{empty: ""})
    assert settings.confirm is None
    assert settings.http.token is None
    assert settings.http.port == 9517


def test_the_word_and_the_token_come_from_the_environment(tmp_path: Path) -> None:
    settings = loaded(tmp_path, GUARDD_CONFIRM="CONFIRM:abc123", GUARDD_HTTP__TOKEN=CANARY)
    assert settings.confirm == "CONFIRM:abc123"
    assert settings.http.token is not None
    assert settings.http.token.get_secret_value() == CANARY
    assert CANARY not in repr(settings)
    assert "GUARDD_CONFIRM" in refusal(tmp_path, ACCOUNT, {"GUARDD_CONFIRM": "yes"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("confirm: CONFIRM\n", "guardd.yaml:1:1: confirm never stands in a file; set GUARDD_CONFIRM instead"),
        (
            f"http:\n  token: {CANARY}\n",
            "guardd.yaml:2:3: http.token never stands in a file; set GUARDD_HTTP__TOKEN instead",
        ),
    ],
)
def test_the_word_and_the_token_never_stand_in_the_file(tmp_path: Path, text: str, told: str) -> None:
    assert refusal(tmp_path, text + ACCOUNT) == told


@pytest.mark.parametrize(
    "text",
    [
        f"accounts:\n  - {{name: main, venue: bitmart, api_secret: {CANARY}}}\n",
        f"accounts:\n  - {{name: main, venue: bitmart, credentials: '{CANARY} x'}}\n",
        f"accounts:\n  - {{name: main, venue: bitmart, rest_url: 'https://user:{CANARY}@host'}}\n",
        f"notify: [{{url: 'https://hooks.example/{CANARY}'}}]\n{ACCOUNT}",
        f"notify: {CANARY}\n{ACCOUNT}",
        f"api_key: {CANARY}\n{ACCOUNT}",
        f"accounts: {CANARY}\n",
        f"accounts: [{CANARY}]\n",
        f"data_dir: [{CANARY}]\n{ACCOUNT}",
        f"http: {{port: {{x: {CANARY}}}}}\n{ACCOUNT}",
        f"accounts: {{x: [{CANARY}\n",
        f"- {CANARY}\n",
    ],
)
def test_I26_no_refusal_shows_a_value_that_may_be_a_secret(tmp_path: Path, text: str) -> None:
    assert CANARY not in refusal(tmp_path, text)


def test_a_duplicate_key_is_refused_with_its_line(tmp_path: Path) -> None:
    told = refusal(tmp_path, "mode: observe\nmode: enforce\n" + ACCOUNT)
    assert told.startswith("guardd.yaml:2:1: not valid YAML")
    assert "duplicate key" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mode: [\n", "not valid YAML"),
        ("just words\n", "guardd.yaml:1:1: found a single value, expected settings as `key: value`"),
        ("- a\n", "guardd.yaml:1:1: found a list, expected settings as `key: value`"),
        ("", "guardd.yaml: accounts: missing"),
        ("accounts: []\n", "guardd.yaml:1:1: accounts: Tuple should have at least 1 item"),
        ("accounts:\n  - {venue: bitmart}\n", "guardd.yaml:2:5: accounts[0].name: missing"),
        ("mode: no\n" + ACCOUNT, "mode: found 'no': Input should be"),
    ],
)
def test_a_file_that_is_no_settings_file_says_what_was_expected(tmp_path: Path, text: str, told: str) -> None:
    assert told in refusal(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: no such file"):
        load_settings(tmp_path / "nowhere.yaml", environ={}, dotenv=None)


def test_two_accounts_of_one_name_are_refused(tmp_path: Path) -> None:
    told = refusal(tmp_path, ACCOUNT + "  - {name: main, venue: bitget}\n")
    assert told == "guardd.yaml:1:1: accounts: two accounts have the name main: each needs its own"


LIVE_REST, LIVE_STREAM = "https://api-cloud-v2.bitmart.com", "wss://openapi-ws-v2.bitmart.com"
DEMO_REST, DEMO_STREAM = "https://demo-api-cloud-v2.bitmart.com", "wss://openapi-wsdemo-v2.bitmart.com"


def account_with(environment: str, rest: str | None, stream: str | None) -> str:
    urls = "".join(f", {name}: '{url}'" for name, url in (("rest_url", rest), ("stream_url", stream)) if url)
    return f"accounts:\n  - {{name: main, venue: bitmart, environment: {environment}{urls}}}\n"


@pytest.mark.parametrize(
    ("environment", "rest", "stream"),
    [
        ("live", LIVE_REST, DEMO_STREAM),
        ("demo", DEMO_REST, LIVE_STREAM),
        ("live", DEMO_REST, None),
        ("demo", None, LIVE_STREAM),
        ("live", DEMO_REST, DEMO_STREAM),
        ("live", "http://127.0.0.1:8000", None),
        ("demo", None, "ws://localhost:8000"),
        ("live", "http://[::1]:8000", LIVE_STREAM),
    ],
)
def test_addresses_of_different_environments_are_refused(
    tmp_path: Path, environment: str, rest: str | None, stream: str | None
) -> None:
    told = refusal(tmp_path, account_with(environment, rest, stream))
    assert "guardd.yaml:2:5: accounts[0]" in told
    assert "environment" in told


@pytest.mark.parametrize(
    ("environment", "rest", "stream"),
    [
        ("live", None, None),
        ("live", LIVE_REST, LIVE_STREAM),
        ("demo", DEMO_REST, DEMO_STREAM),
        ("demo", DEMO_REST, None),
        ("live", "http://127.0.0.1:1", "ws://localhost:2"),
        ("live", "https://gateway.internal:8443", None),
        ("demo", "https://gateway.internal", "wss://gateway.internal"),
    ],
)
def test_addresses_of_one_environment_are_taken(
    tmp_path: Path, environment: str, rest: str | None, stream: str | None
) -> None:
    account = loaded(tmp_path, account_with(environment, rest, stream)).accounts[0]
    assert (account.rest_url, account.stream_url) == (rest, stream)


@pytest.mark.parametrize(
    "url", ["https://host/path", "https://host?x=1", "ftp://host", "host:80", "https://", "wss://host"]
)
def test_an_address_is_a_scheme_a_host_and_a_port(tmp_path: Path, url: str) -> None:
    assert "accounts[0].rest_url: expected" in refusal(tmp_path, account_with("live", url, "wss://gateway.internal"))


def test_a_venue_refuses_the_other_ones_words(tmp_path: Path) -> None:
    assert "product_type is a word of bitget" in refusal(
        tmp_path, "accounts: [{name: a, venue: bitmart, product_type: USDT-FUTURES}]\n"
    )


def test_a_notify_address_names_its_place_and_a_severity(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "notify: [{url: env:HOOK}, {url: secret:hook.url, min_severity: critical}]\n" + ACCOUNT)
    assert [each.url for each in settings.notify] == ["env:HOOK", "secret:hook.url"]
    assert [each.min_severity for each in settings.notify] == [Severity.WARNING, Severity.CRITICAL]


def test_settings_made_in_code_read_nothing_from_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDD_MODE", "enforce")
    settings = Settings.model_validate({"accounts": [{"name": "main", "venue": "bitmart"}]})
    assert settings.mode is Mode.OBSERVE


def test_the_process_environment_is_read_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDD_MODE", "enforce")
    assert load_settings(written(tmp_path, ACCOUNT), dotenv=None).mode is Mode.ENFORCE


# The files that ship


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((REPOSITORY / "config/guardd.schema.json").read_text(encoding="utf-8"))
    assert committed == settings_schema()


@pytest.mark.parametrize("name", ["guardd.yaml", "demo.yaml"])
def test_a_file_that_ships_is_valid_by_schema_and_by_reading(name: str) -> None:
    file = REPOSITORY / "config" / name
    document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(settings_schema()).validate(document)
    assert load_settings(file, environ={}, dotenv=None).accounts


def test_the_shipped_file_changes_no_default_but_names_one_account() -> None:
    shipped = load_settings(REPOSITORY / "config/guardd.yaml", environ={}, dotenv=None)
    plain = Settings(accounts=shipped.accounts)
    same = ("mode", "journal", "http", "log", "rate_limit_share", "secrets_dir", "notify", "confirm")
    assert {name: getattr(shipped, name) for name in same} == {name: getattr(plain, name) for name in same}


HERE = "rest_url: http://127.0.0.1:1, stream_url: ws://127.0.0.1:1"


@pytest.mark.parametrize(
    ("mode", "account", "refused"),
    [
        ("enforce", "", True),
        ("enforce", "rest_url: https://gate.example, stream_url: wss://gate.example", True),
        ("enforce", "environment: demo", False),
        ("enforce", HERE, False),
        ("enforce", "mode: observe", False),
        ("observe", "", False),
    ],
)
def test_I20_a_journal_without_sync_never_enforces_on_a_live_venue(
    tmp_path: Path, mode: str, account: str, refused: bool
) -> None:
    text = f"mode: {mode}\naccounts:\n  - {{name: main, venue: bitget, {account}}}\n"
    assert not loaded(tmp_path, text).measure_without_sync
    measuring = {"GUARDD_MEASURE_WITHOUT_SYNC": "1"}
    if not refused:
        assert loaded(tmp_path, text, **measuring).measure_without_sync
        return
    told = refusal(tmp_path, text, measuring)
    assert "GUARDD_MEASURE_WITHOUT_SYNC" in told
    assert "account main is to enforce on a live venue" in told
    assert "unset it" in told


def test_leaving_out_the_sync_is_no_setting_of_a_file(tmp_path: Path) -> None:
    assert refusal(tmp_path, "measure_without_sync: true\n" + ACCOUNT) == (
        "guardd.yaml:1:1: measure_without_sync never stands in a file; set GUARDD_MEASURE_WITHOUT_SYNC instead"
    )
    assert "measure_without_sync" not in json.dumps(settings_schema())


def test_the_schema_knows_neither_the_word_nor_the_token() -> None:
    validator = jsonschema.Draft202012Validator(settings_schema())
    account = {"accounts": [{"name": "main", "venue": "bitmart"}]}
    assert validator.is_valid(account)
    assert not validator.is_valid({**account, "confirm": "CONFIRM"})
    assert not validator.is_valid({**account, "http": {"token": "x"}})
    assert not validator.is_valid({**account, "hptp": {}})
