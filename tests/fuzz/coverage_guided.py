"""The same targets under atheris, which looks for inputs that reach new code.

    python -m tests.fuzz.coverage_guided --seconds 60 --target bitmart.frame [--corpus DIR]

`--target all` takes every target in turn. Each begins from the samples. Needs `pip install atheris`; ends with 2 and says so where
it isn't there. A finding ends the run with the payload as a Python literal.
"""

import argparse
import importlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MISSING = "atheris isn't installed here: pip install atheris (Linux, Python 3.11 or later), or run python -m tests.fuzz"
INSTRUMENTED = ["guardd.venues", "guardd.policy", "guardd.config", "guardd.journal", "guardd.simulator.dialects"]
PAYLOAD_BYTES_MAX = 8_192


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.coverage_guided")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--target", required=True)
    parser.add_argument("--corpus", type=Path, default=None)
    given = parser.parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        print(MISSING, file=sys.stderr)
        return 2
    if given.target == "all":
        return _all_in_turn(given.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        _fuzz(given.target, given.seconds, given.corpus or Path(scratch))
    return 0


def _all_in_turn(seconds: int) -> int:
    """A process each: libFuzzer ends the one that it runs in."""
    from tests.fuzz.targets import ALL

    status = 0
    share = max(1, seconds // len(ALL))
    for each in ALL:
        command = [sys.executable, "-m", "tests.fuzz.coverage_guided", "--target", each.name, "--seconds", str(share)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stderr.splitlines()
        counted = next((line for line in reversed(lines) if line.startswith("stat::number_of_executed_units")), "")
        print(
            f"{each.name:<45} {counted.rpartition(':')[2].strip():>10} executions, exit {done.returncode}", flush=True
        )
        if done.returncode:
            status = 1
            print(done.stdout[-3_000:], done.stderr[-3_000:], sep="\n")
    return status


def _fuzz(name: str, seconds: int, corpus: Path) -> None:
    atheris: Any = importlib.import_module("atheris")

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import BY_NAME

    target = BY_NAME[name]
    corpus.mkdir(parents=True, exist_ok=True)
    for index, sample in enumerate(target.samples):
        (corpus / f"sample-{index}").write_bytes(sample)

    def one(payload: bytes) -> None:
        try:
            target.strike(payload)
        except Exception:
            print(f"payload {payload!r}")
            raise

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={PAYLOAD_BYTES_MAX}",
        f"-artifact_prefix={corpus}/",  # libFuzzer's own copy of a finding; without it, it lands where the command was given
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
