"""`guardd policy test`: plays files of cases against their policy, and says what came otherwise than expected."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import Struct
from rich.text import Text

from guardd.cli.exits import Exit, guarded
from guardd.cli.given import JsonOption
from guardd.cli.show import Json, print_json, print_line, print_table
from guardd.cli.stage.rehearsal import Gauntlet, Played, Probed, rehearse
from guardd.clock import SystemClock
from guardd.daemon.wiring import policy_from
from guardd.errors import ConfigurationError
from guardd.model.instant import NS_PER_S
from guardd.policy.cases.judge import Pairing, describe, seconds
from guardd.policy.cases.junit import Outcome, junit_xml
from guardd.policy.cases.language import Case, CaseFile, Expected, Telling, TrackKind
from guardd.policy.cases.load import load_cases
from guardd.policy.cases.mutants import Mutant, mutants
from guardd.policy.language import Policy

NOTHING: Final = "–"
COLUMNS: Final = ("at", "line", "mark", "expected", "came", "wrong")


def play_cases(
    files: Annotated[list[Path], typer.Argument(metavar="CASES...", help="Files of cases.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="The policy; default: the one that the file names.")
    ] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Shift every number, leave out every rule: some case must fail each time.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME", help="Only the cases with this in their name.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play cases on a virtual clock: every expected decision must be made in its time, and no other."""
    guarded(lambda: _test(files, policy, mutate=mutate, junit=junit, only=only, as_json=as_json))


class Tried(Struct, frozen=True, kw_only=True):
    """A mutant, and the case or probe that failed with it; empty: it survived."""

    mutant: Mutant
    killed_by: str
    duration_s: float


@dataclass(slots=True, kw_only=True)
class Tested:
    """Everything that came of one file."""

    file: CaseFile
    policy: Policy
    played: list[Played] = field(default_factory=list)
    durations_s: list[float] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(each.passed for each in self.played) and not self.survivors

    @property
    def survivors(self) -> list[Tried]:
        return [each for each in self.tried if not each.killed_by]


def results_of(file: Path, policy: Path | None = None, *, mutate: bool = False, only: str | None = None) -> Tested:
    """Play one file of cases. Raises `ConfigurationError` for a file or policy that can't be used."""
    cases = load_cases(_text_of(file), source=str(file))
    if policy is None and cases.policy is None:
        raise ConfigurationError(f"{file}: found no `policy`, expected one there or as --policy FILE")
    path = policy if policy is not None else Path(normpath(file.parent / str(cases.policy)))
    result = Tested(file=cases, policy=policy_from(path))
    asyncio.run(_play(result, _text_of(path) if mutate else None, only))
    return result


async def _play(result: Tested, mutated_text: str | None, only: str | None) -> None:
    clock = SystemClock()
    chosen = [case for case in result.file.cases if only is None or only in case.name]
    if not chosen:
        raise typer.BadParameter(f"no case of {result.file.source} has {only!r} in its name", param_hint="--only")
    for case in chosen:
        began_ns = clock.monotonic_ns()
        result.played.append(await rehearse(case, result.policy))
        result.durations_s.append((clock.monotonic_ns() - began_ns) / NS_PER_S)
    if mutated_text is None or not result.passed:
        return
    gauntlet = Gauntlet(chosen, [probed.probe for played in result.played for probed in played.probed])
    for mutant in mutants(mutated_text, result.policy):
        began_ns = clock.monotonic_ns()
        killed_by = await gauntlet.ended_by(mutant)
        duration_s = (clock.monotonic_ns() - began_ns) / NS_PER_S
        result.tried.append(Tried(mutant=mutant, killed_by=killed_by, duration_s=duration_s))


def _test(
    files: Sequence[Path], policy: Path | None, *, mutate: bool, junit: Path | None, only: str | None, as_json: bool
) -> int:
    results = [results_of(file, policy, mutate=mutate, only=only) for file in files]
    if junit is not None:
        _write(junit, junit_xml([outcome for result in results for outcome in _outcomes(result)]))
    if as_json:
        print_json({"passed": all(each.passed for each in results), "files": [_document(each) for each in results]})
    else:
        for result in results:
            _print(result, mutate=mutate)
    return Exit.DONE if all(each.passed for each in results) else Exit.FAILED


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: can't be read ({error})") from None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: can't be written ({error})") from None


# For people


def _print(result: Tested, *, mutate: bool) -> None:
    print_line(f"{result.file.source}: {result.policy.source}", style="bold")
    for played, duration_s in zip(result.played, result.durations_s, strict=True):
        _print_case(result, played, duration_s)
    if mutate:
        _print_mutants(result)
    failed = sum(not played.passed for played in result.played)
    probes = sum(len(played.probed) for played in result.played)
    said = f"{len(result.played)} cases, {failed} failed; {probes} boundary probes"
    if result.tried:
        said += f"; {len(result.tried)} mutants, {len(result.survivors)} survived"
    print_line(said, style="bold green" if result.passed else "bold red")


def _print_case(result: Tested, played: Played, duration_s: float) -> None:
    case = played.case
    word, style = ("ok", "green") if played.passed else ("FAILED", "bold red")
    about = f"  ({len(case.decisions)} decisions, {seconds(case.lasts_s)} in {duration_s:.2f} s)"
    print_line(Text.assemble((f"  {word:<6}  ", style), case.name, (about, "dim")))
    if not played.verdict.passed:
        title = f"{result.file.source}:{case.line}: {case.name}"
        rows = [_row(played.case, pairing) for pairing in played.verdict.pairings]
        print_table(title, COLUMNS, rows)
        for pairing in played.verdict.pairings:
            if pairing.wrong and pairing.made is not None and pairing.made.text:
                print_line(f"      {seconds(pairing.made.at_s)}  {pairing.made.text}")
        for at_s, text in played.recording.market:
            print_line(f"      {seconds(at_s)}  {text}")
        for heard in played.recording.heard:
            print_line(f"      {seconds(heard.at_s)}  told, {heard.severity}: {heard.text}", style="dim")
    for probed in played.probed:
        if not probed.holds:
            _print_probe(probed)


def _print_probe(probed: Probed) -> None:
    print_line(f"          probe failed: {probed.probe.name}", style="red")
    for made in probed.recording.made:
        print_line(f"            {seconds(made.at_s)}  {describe(made)}: {made.text}")


def _row(case: Case, pairing: Pairing) -> tuple[str, ...]:
    expected, made = pairing.expected, pairing.made
    match expected:
        case Expected():
            wanted, line = describe(expected), str(expected.line)
        case Telling():
            wanted, line = f"told: {expected.words}", str(expected.line)
        case None:
            wanted, line = NOTHING, ""
    came = describe(made) if made is not None else NOTHING
    if made is not None and made.at_s != pairing.at_s:
        came = f"{came} at {seconds(made.at_s)}"
    return seconds(pairing.at_s), line, _mark(case, pairing), wanted, came, pairing.wrong


def _mark(case: Case, pairing: Pairing) -> str:
    """The mark of that step, of the instrument that the line is about or of the only one."""
    about = [getattr(each, "symbol", None) for each in (pairing.made, pairing.expected)]
    tracks = [track for track in case.tracks if track.kind is TrackKind.MARK]
    symbol = next((each for each in about if each), tracks[0].of if len(tracks) == 1 else None)
    track = next((each for each in tracks if each.of == symbol), None)
    at_s = pairing.made.at_s if pairing.made is not None else pairing.at_s
    mark = None if track is None else track.number_at(case.step_at(at_s))
    return NOTHING if mark is None else f"{mark:f}"


def _print_mutants(result: Tested) -> None:
    if not result.tried:
        print_line("  no mutants were tried: the cases themselves fail", style="yellow")
    for tried in result.survivors:
        mutant = tried.mutant
        where = f"{result.policy.source}:{mutant.place.line}:{mutant.place.column}"
        print_line(Text.assemble(("  survived  ", "bold red"), f"{where}: {mutant.what}: no case fails"))


# For programs


def _document(result: Tested) -> Json:
    return {
        "source": result.file.source,
        "policy": result.policy.source,
        "policy_digest": result.policy.digest,
        "passed": result.passed,
        "cases": [_case_document(played) for played in result.played],
        "mutants": [
            {
                "line": each.mutant.place.line,
                "column": each.mutant.place.column,
                "what": each.mutant.what,
                "killed_by": each.killed_by or None,
            }
            for each in result.tried
        ],
    }


def _case_document(played: Played) -> Json:
    return {
        "name": played.case.name,
        "line": played.case.line,
        "passed": played.passed,
        "timeline": [
            dict(zip(COLUMNS, _row(played.case, pairing), strict=True)) for pairing in played.verdict.pairings
        ],
        "probes": [{"name": each.probe.name, "passed": each.holds} for each in played.probed],
    }


def _outcomes(result: Tested) -> list[Outcome]:
    suite, found = Path(result.file.source).name, list[Outcome]()
    for played, duration_s in zip(result.played, result.durations_s, strict=True):
        rows = [
            "  ".join(cell for cell in _row(played.case, pairing) if cell)
            for pairing in played.verdict.pairings
            if pairing.wrong
        ]
        case = played.case
        found.append(_outcome(result, suite, "case", case.name, case.line, duration_s, "\n".join(rows)))
        for each in played.probed:
            made = "\n".join(f"{seconds(made.at_s)}  {describe(made)}: {made.text}" for made in each.recording.made)
            failure = "" if each.holds else f"probe failed\n{made}"
            found.append(_outcome(result, suite, "probe", each.probe.name, case.line, 0.0, failure))
    for tried in result.tried:
        failure = "" if tried.killed_by else "no case fails"
        where = f"{tried.mutant.what} (policy line {tried.mutant.place.line})"
        found.append(_outcome(result, suite, "mutant", where, tried.mutant.place.line, tried.duration_s, failure))
    return found


def _outcome(result: Tested, suite: str, group: str, name: str, line: int, duration_s: float, failure: str) -> Outcome:
    source = result.policy.source if group == "mutant" else result.file.source
    return Outcome(suite=suite, group=group, name=name, file=source, line=line, duration_s=duration_s, failure=failure)
