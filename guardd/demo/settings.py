"""The demo's settings and policy: the readable pair, with addresses and ports put in.

The pair stands beside this file, so that an installed guardd has it; `config/` of the repository holds the same for reading.
"""

from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from guardd.demo import scenario
from guardd.demo.exchange import Addresses
from guardd.errors import ConfigurationError
from guardd.simulator.run import SimulatedVenue

HERE: Final = Path(__file__).parent
SETTINGS: Final = "demo.yaml"
POLICY: Final = "demo-policy.yaml"
FAMILY: Final = "-unified"
"""Which family an account is of stands in no settings: the adapter finds it out."""


def write_settings(home: Path, *, venue: SimulatedVenue, addresses: Addresses, port: int, observe: bool) -> Path:
    """Write settings and policy into `home`; returns the settings file, for `guardd run -c`."""
    yaml = YAML(typ="rt", pure=True)
    document = yaml.load((HERE / SETTINGS).read_text(encoding="utf-8"))
    if not isinstance(document, dict) or len(document.get("accounts", ())) != 1:
        raise ConfigurationError(f"{HERE / SETTINGS}: expected settings with one account")
    document["http"]["port"] = port
    document["data_dir"] = "./data"
    if observe:
        document["mode"] = "observe"
    document["accounts"][0]["venue"] = venue.value.removesuffix(FAMILY)
    document["accounts"][0]["rest_url"] = addresses.rest_url
    document["accounts"][0]["stream_url"] = addresses.stream_url
    file = home / SETTINGS
    with file.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    (home / POLICY).write_text((HERE / POLICY).read_text(encoding="utf-8"), encoding="utf-8")
    return file


def credentials(venue: SimulatedVenue) -> dict[str, str]:
    """The variables that open the guarded account: keys of the simulator, which open nothing else."""
    account = next(each for each in scenario.accounts() if each.uid == scenario.GUARDED)
    phrase = "DEMO_API_MEMO" if venue is SimulatedVenue.BITMART else "DEMO_API_PASSPHRASE"
    return {"DEMO_API_KEY": account.key, "DEMO_API_SECRET": account.secret, phrase: account.passphrase}
