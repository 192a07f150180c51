"""What can be written into the journal: one entry, one record of the chain."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from guardd.journal.canonical import Json, encoded
from guardd.model.event import IntentMoved
from guardd.model.fill import Fill
from guardd.model.highwater import HighWater
from guardd.model.instant import Instant
from guardd.model.intent import CancelOrder, Intent, Stage
from guardd.model.names import AccountName, ClientId, EpisodeId, OrderId, PositionKey, RuleName
from guardd.model.outcome import Accepted
from guardd.model.position import Episode


class RecordKind(StrEnum):
    INTENT = "intent"
    STAGE = "stage"
    EPISODE = "episode"
    WORD = "word"
    RULE = "rule"
    HIGH_WATER = "high_water"
    PRUNED = "pruned"
    FILL = "fill"


class Record(Struct, frozen=True, kw_only=True):
    """One link of an account's chain. `subject` is what it is about: a client id, an episode id, a word."""

    id: int
    account: AccountName
    seq: int
    at_ms: int
    kind: RecordKind
    subject: str
    body: Mapping[str, object]
    hash: str


class Meant(Struct, frozen=True, kw_only=True):
    intent: Intent


class Moved(Struct, frozen=True, kw_only=True):
    moved: IntentMoved


class EpisodeNoted(Struct, frozen=True, kw_only=True):
    episode: Episode
    ended: bool
    at: Instant


class WordNoted(Struct, frozen=True, kw_only=True):
    account: AccountName
    word: str
    why: str
    at: Instant


class RuleNoted(Struct, frozen=True, kw_only=True):
    key: PositionKey
    episode: EpisodeId
    rule: RuleName
    text: str
    at: Instant


class HighWaterNoted(Struct, frozen=True, kw_only=True):
    account: AccountName
    water: HighWater
    at: Instant


class FillNoted(Struct, frozen=True, kw_only=True):
    fill: Fill
    at: Instant


class PruneNoted(Struct, frozen=True, kw_only=True):
    """The chain was cut behind record `seq`, whose hash is `hash`."""

    account: AccountName
    seq: int
    hash: str
    at: Instant


MEANT_AGAIN: Final = frozenset({Stage.VOID, Stage.REFUSED, Stage.REJECTED})
"""Stages in which an intent certainly did not happen, so that it may be meant again under its id. One that was void keeps its id
through later rejections: its first request may still arrive, and only the same id lets the venue take one of the two (I7)."""
Entry: TypeAlias = Meant | Moved | EpisodeNoted | WordNoted | RuleNoted | HighWaterNoted | FillNoted | PruneNoted


class Line(Struct, frozen=True, kw_only=True):
    """An entry as a record says it."""

    account: AccountName
    kind: RecordKind
    subject: str
    at_ms: int
    body: Mapping[str, Json]


def line_of(entry: Entry) -> Line:
    """What the record of this entry says."""
    match entry:
        case Meant(intent=intent):
            body: dict[str, Json] = {"intent": encoded(intent)}
            return _line(intent.account, RecordKind.INTENT, intent.id, intent.decided, body)
        case Moved(moved=moved):
            return _line(moved.intent.account, RecordKind.STAGE, moved.intent.id, moved.at, _stage_body(moved))
        case EpisodeNoted(episode=episode, ended=ended, at=at):
            body = {"episode": encoded(episode), "ended": ended}
            return _line(episode.key.account, RecordKind.EPISODE, episode.id, at, body)
        case WordNoted(account=account, word=word, why=why, at=at):
            return _line(account, RecordKind.WORD, word, at, {"word": word, "why": why})
        case RuleNoted(key=key, episode=episode_id, rule=rule, text=text, at=at):
            body = {"key": encoded(key), "episode": episode_id, "rule": rule, "text": text}
            return _line(key.account, RecordKind.RULE, episode_id, at, body)
        case HighWaterNoted(account=account, water=water, at=at):
            return _line(account, RecordKind.HIGH_WATER, water.currency, at, {"water": encoded(water)})
        case FillNoted(fill=fill, at=at):
            return _line(fill.key.account, RecordKind.FILL, fill.episode, at, {"fill": encoded(fill)})
        case PruneNoted(account=account, seq=seq, hash=cut, at=at):
            return _line(account, RecordKind.PRUNED, str(seq), at, {"seq": seq, "hash": cut})


def _line(account: AccountName, kind: RecordKind, subject: str, at: Instant, body: dict[str, Json]) -> Line:
    return Line(account=account, kind=kind, subject=subject, at_ms=at.wall_ms, body=body)


def _stage_body(moved: IntentMoved) -> dict[str, Json]:
    """A refused intent was never journalled before: its record carries it whole, so that the decision can be reproduced."""
    body: dict[str, Json] = {
        "stage": moved.stage.value,
        "outcome": encoded(moved.outcome),
        "order_id": order_id_of(moved),
        "filled": encoded(moved.filled),
        "detail": moved.detail,
    }
    if moved.stage is Stage.REFUSED:
        body["intent"] = encoded(moved.intent)
    return body


def order_id_of(moved: IntentMoved) -> OrderId | None:
    """The venue's order id that this move tells."""
    if moved.order_id is not None:
        return moved.order_id
    return moved.outcome.order_id if isinstance(moved.outcome, Accepted) else None


def makes_order(intent: Intent) -> bool:
    """An order id told of this intent is ours; the one a cancel names may be anybody's."""
    return not isinstance(intent.write, CancelOrder)


def already_journalled(intent_id: ClientId, stage: Stage) -> str:
    """Why an intent isn't taken twice: a second send of one decision would be the next line (I7)."""
    return f"intent {intent_id} is journalled already and stands at {stage}; only one that did not happen may be meant again"


def after_word(word: str, why: str, *, halted: bool, parked: str | None) -> tuple[bool, str | None]:
    """What an operator's word leaves behind, as `guardd.model.fold` has it."""
    match word:
        case "halt" | "flatten":
            return True, parked
        case "resume":
            return False, None
        case "park":
            return halted, why
        case _:
            return halted, parked
