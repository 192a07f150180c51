"""`python -m tests.deploy [PART …]`: the fast core and the deep checks of these parts, of all where none is named."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def parts() -> list[str]:
    """The directories beside this file that hold tests."""
    return sorted(each.parent.name for each in HERE.glob("*/__init__.py"))


def main(named: Sequence[str]) -> int:
    known = parts()
    if unknown := sorted(set(named) - set(known)):
        sys.stderr.write(f"no such part: {', '.join(unknown)}; there are {', '.join(known)}\n")
        return 2
    places = [str(HERE / part) for part in (named or known)]
    return int(pytest.main(["-o", "python_files=test_*.py checks_*.py", *places]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
