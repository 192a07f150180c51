"""`python -m tests.deploy [--due] [PART …]`: the fast core and the deep checks of these parts, of all where none is named.

A deep check that passes is stamped in `deploy/checked.json` with what it looked at. `--due` leaves out those whose stamp still
holds; a missing tool fails either way.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

from tests.deploy.stamps import DEPENDS, due, stamp

HERE = Path(__file__).parent
CHECKS = "python_files=test_*.py checks_*.py"


def parts() -> list[str]:
    """The directories beside this file that hold tests."""
    return sorted(each.parent.name for each in HERE.glob("*/__init__.py"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts())}")
    parser.add_argument(
        "--due", action="store_true", help="only deep checks of something that changed since they passed"
    )
    given = parser.parse_args()
    if unknown := sorted(set(given.parts) - set(parts())):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts())}")
    named = given.parts or parts()
    os.environ["DEPLOY_TOOLS"] = "needed"
    failed = [] if not pytest.main(["-q", *(str(HERE / part) for part in named)]) else ["the fast core"]
    deep = [check for check in DEPENDS if check.split("/", 1)[0] in named]
    for check in due(deep) if given.due else deep:
        print(f"--- {check}", flush=True)
        if pytest.main(["-q", "--timeout=600", "-o", CHECKS, str(HERE / check)]):
            failed.append(check)
        else:
            stamp(check)
    left = [check for check in due(deep) if check not in failed]
    print(
        f"deploy: failed {', '.join(failed) or 'none'}; deep checks seen on this tree: {len(deep) - len(due(deep))} of {len(deep)}"
    )
    return 1 if failed or left else 0


if __name__ == "__main__":
    sys.exit(main())
