"""`python -m tests.policy.sentences [--prove [ID …]] [--markdown FILE]`: the table, and the proof that its tests bite."""

import argparse
import sys
import time
from pathlib import Path

from tests.policy.sentences.prove import Verdict, prove, stale
from tests.policy.sentences.table import as_markdown, breaks, missing, sentences


def main() -> int:
    asked = _arguments()
    table, known = sentences(), breaks()
    lost = missing(test for each in table for test in each.tests)
    for test in lost:
        print(f"no such test: {test}")
    print(f"{len(table)} sentences, {len({test for each in table for test in each.tests})} tests, {len(known)} breaks")
    old = [f"{each.sentence}: {why}" for each in known if (why := stale(each))]
    for line in old:
        print(f"stale: {line}")
    bad = len(lost) + len(old)
    proved: dict[str, bool] = {each.sentence: True for each in known}
    if asked.prove is not None:
        chosen = [each for each in known if not asked.prove or each.sentence.startswith(tuple(asked.prove))]
        began = time.monotonic()
        proved = {}
        for proof in prove(table, chosen, workers=asked.workers):
            proved[proof.sentence] = proof.verdict is Verdict.PROVED
            bad += proof.verdict is not Verdict.PROVED
            print(f"{proof.verdict:9} {proof.sentence}", flush=True)
            if proof.said:
                print("\n".join(f"          {line}" for line in proof.said.splitlines()), flush=True)
        print(f"{sum(proved.values())} of {len(chosen)} proved in {time.monotonic() - began:.0f} s")
    if asked.markdown is not None:
        asked.markdown.write_text(as_markdown(table, proved))
    return 1 if bad else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.policy.sentences", description=__doc__)
    parser.add_argument(
        "--prove",
        nargs="*",
        metavar="ID",
        help="break each sentence (or those whose id begins so) and see its tests fail",
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for people there")
    return parser.parse_args()


sys.exit(main())
