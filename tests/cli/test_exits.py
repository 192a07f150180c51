"""From an error to its exit code and its mend."""

import pytest

from guardd.cli.exits import Exit, code_of
from guardd.cli.mends import mend
from guardd.errors import (
    ConfigurationError,
    CredentialsError,
    GuarddError,
    JournalError,
    VenueBusy,
    VenueRefused,
    VenueUnreachable,
)


def refused(code: str) -> VenueRefused:
    return VenueRefused(endpoint="position-v2", code=code, text="no")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), Exit.CONFIGURATION),
        (CredentialsError("x"), Exit.CREDENTIALS),
        (VenueUnreachable("x"), Exit.UNREACHABLE),
        (refused("30010"), Exit.CREDENTIALS),
        (refused("30012"), Exit.CREDENTIALS),
        (refused("30019"), Exit.CREDENTIALS),
        (refused("40034"), Exit.FAILED),
        (VenueBusy("x"), Exit.UNREACHABLE),
        (JournalError("x"), Exit.FAILED),
    ],
    ids=str,
)
def test_the_exit_code_says_whose_fault_it_was(error: GuarddError, code: Exit) -> None:
    assert code_of(error) is code


def test_a_refused_address_is_mended_at_the_key_s_allow_list() -> None:
    assert "this machine's public address" in mend(refused("30010"))


def test_missing_variables_are_named_in_the_mend() -> None:
    error = CredentialsError("account main: A_API_KEY, A_API_MEMO missing; looked in the environment, .env")
    assert mend(error).startswith("set A_API_KEY, A_API_MEMO in the environment or in .env")
    assert "/etc/credstore" in mend(error)  # where the unit's credentials come from


def test_an_error_that_says_all_itself_gets_no_advice() -> None:
    assert mend(ConfigurationError("guardd.yaml:1:1: mood: no such setting; did you mean mode?")) == ""
