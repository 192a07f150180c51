"""`guardd journal …`: what was decided, why, what became of it, and whether the chain holds. Reads beside a running daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, assert_never, cast

import typer
from rich.text import Text

from guardd.cli.exits import Exit, guarded, talk
from guardd.cli.given import AccountOption, ConfigOption, JsonOption, settings_from
from guardd.cli.show import NOTHING, Json, local_time, print_json, print_table, utc_time
from guardd.cli.why import print_why, why_json
from guardd.journal.entry import Record, RecordKind
from guardd.journal.reading import ChainVerdict, JournalReader, Story

group = typer.Typer(no_args_is_help=True, help="Read what the guard decided, and why.")
TEXT_MAX: Final = 140


@group.command("list")
def list_records(
    config: ConfigOption = None,
    account: AccountOption = None,
    kind: Annotated[RecordKind | None, typer.Option(help="Only records of this kind.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="How many of the latest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The latest records, oldest first."""
    guarded(lambda: _list(config, account, kind, limit, as_json=as_json))


@group.command()
def why(
    subject: Annotated[
        str, typer.Argument(metavar="ID", help="An intent's id or the beginning of it, or an episode's.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Everything about one decision: its inputs, its rule, its outcome."""
    guarded(lambda: _why(config, subject, as_json=as_json))


@group.command()
def verify(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Follow the hash chain of every account from its beginning; exit 1 where it is broken."""
    guarded(lambda: _verify(config, as_json=as_json))


def _list(config: Path | None, account: str | None, kind: RecordKind | None, limit: int, *, as_json: bool) -> int:
    with JournalReader.open(settings_from(config).data_dir) as reader:
        records = reader.list(account=account, kind=kind, limit=limit)
    if as_json:
        print_json([_record_json(record) for record in records])
        return Exit.DONE
    rows = [
        (local_time(record.at_ms), record.account, record.kind, record.subject, _shortened(_text_of(record)))
        for record in records
    ]
    print_table("journal", ("time", "account", "kind", "about", "what"), rows)
    return Exit.DONE


def _why(config: Path | None, subject: str, *, as_json: bool) -> int:
    with JournalReader.open(settings_from(config).data_dir) as reader:
        story = reader.why(subject)
    if story is None:
        text = f"guardd: {subject}: the journal has no such intent or episode, or several that begin so; "
        talk().print(Text(text + "`guardd journal list` shows ids"))
        return Exit.FAILED
    if as_json:
        print_json(why_json(story, {record.id: _record_json(record) for record in _all_of(story)}))
    else:
        print_why(story, {record.id: _text_of(record) for record in _all_of(story)})
    return Exit.DONE


def _all_of(story: Story) -> tuple[Record, ...]:
    return (*story.records, *story.rules, *story.fills)


def _verify(config: Path | None, *, as_json: bool) -> int:
    with JournalReader.open(settings_from(config).data_dir) as reader:
        verdicts = reader.verify()
    if as_json:
        print_json([_verdict_json(verdict) for verdict in verdicts])
    else:
        rows = [
            (
                verdict.account,
                str(verdict.records),
                str(verdict.pruned_before or NOTHING),
                Text("holds", style="green") if verdict.problem is None else Text(verdict.problem, style="bold red"),
            )
            for verdict in verdicts
        ]
        print_table("hash chains", ("account", "records", "pruned up to", "chain"), rows)
    return Exit.DONE if all(verdict.problem is None for verdict in verdicts) else Exit.FAILED


# One record in words


def _footing_text(footing: Mapping[str, object]) -> str:
    """What its protection stands on: why a record follows another."""
    best = [f"best mark {each.get('mark')} (rule {each.get('rule')})" for each in _listed(footing.get("best"))]
    filled = [f"tranche {each.get('slot')} filled" for each in _listed(footing.get("filled"))]
    return "".join(f", {text}" for text in (*best, *filled))


def _listed(value: object) -> list[Mapping[str, object]]:
    return [_mapping(each) for each in value] if isinstance(value, list) else []


def _text_of(record: Record) -> str:
    """One sentence of what the record says."""
    body = record.body
    match record.kind:
        case RecordKind.INTENT:
            return _intent_text(_mapping(body.get("intent")))
        case RecordKind.STAGE:
            parts = [str(body.get("stage")), _outcome_text(body.get("outcome")), str(body.get("detail") or "")]
            if body.get("filled") is not None:
                parts.append(f"filled {body['filled']}")
            return ", ".join(part for part in parts if part)
        case RecordKind.EPISODE:
            episode = _mapping(body.get("episode"))
            word = "ended" if body.get("ended") else "under guard"
            return f"{word}, at most {episode.get('largest_quantity')} contracts{_footing_text(_mapping(episode.get('footing')))}"
        case RecordKind.WORD:
            return f"{body.get('word')}: {body.get('why')}"
        case RecordKind.RULE:
            return f"{body.get('rule')}: {body.get('text')}"
        case RecordKind.HIGH_WATER:
            water = _mapping(body.get("water"))
            high = water.get("high")
            return f"the day's high of {water.get('currency')} is {high if high is not None else 'not known yet'}"
        case RecordKind.PRUNED:
            return f"cut off up to record {body.get('seq')}"
        case RecordKind.FILL:
            return _fill_text(_mapping(body.get("fill")))
        case _:
            assert_never(record.kind)


def _intent_text(intent: Mapping[str, object]) -> str:
    return f"{intent.get('action')} by {intent.get('rule')}: {intent.get('reason')}"


def _fill_text(fill: Mapping[str, object]) -> str:
    won = fill.get("realized_pnl")
    realised = f", realised {won} {fill.get('currency')} before fees" if won is not None else ""
    return f"{fill.get('how')} {fill.get('size')} at {fill.get('price')} (order {fill.get('order_id')}){realised}"


def _outcome_text(outcome: object) -> str:
    found = _mapping(outcome)
    shown = [f"{name} {found[name]}" for name in ("reason", "code", "text", "why", "order_id") if found.get(name)]
    return ", ".join(shown)


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, Mapping) else {}


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def _record_json(record: Record) -> Json:
    return {
        "id": record.id,
        "account": record.account,
        "seq": record.seq,
        "at": utc_time(record.at_ms),
        "kind": record.kind.value,
        "subject": record.subject,
        "body": cast(Json, record.body),
        "hash": record.hash,
    }


def _verdict_json(verdict: ChainVerdict) -> Json:
    return {
        "account": verdict.account,
        "records": verdict.records,
        "pruned_before": verdict.pruned_before,
        "holds": verdict.problem is None,
        "problem": verdict.problem,
    }
