"""The key's own account, the spot wallet, and transfers between it and futures. Bitget reference, 8 and 3."""

from decimal import Decimal

from guardd.simulator.dialects.bitget.desk import Desk
from guardd.simulator.dialects.bitget.lists import DAY_MS, QUARTER_DAYS, ROWS_MAX
from guardd.simulator.dialects.bitget.products import COINS, Product
from guardd.simulator.dialects.bitget.words import number
from guardd.simulator.dialects.bitget_common.envelope import Json, Row, VenueError
from guardd.simulator.dialects.bitget_common.gateway import Call
from guardd.simulator.records import TransferDirection
from guardd.simulator.refusals import RefusalReason, Refused

_FUTURES = {"usdt_futures": COINS[Product.USDT], "usdc_futures": COINS[Product.USDC]}
_TYPES = ("spot", "p2p", "coin_futures", "crossed_margin", "isolated_margin", *_FUTURES)
_LEAST = Decimal("0.00000001")


def account_info(desk: Desk, call: Call) -> Json:
    """What this key may do, and from where (3)."""
    key = desk.keyring.of_request(call.request.headers)
    may_trade = key is not None and key.may_trade
    return {
        "userId": call.uid,
        "inviterId": "",
        "ips": ",".join(key.ips) if key else "",
        "authorities": ["trade", "readonly"] if may_trade else ["readonly"],
        "parentId": 1,
        "traderType": "not_trader",
        "channelCode": "",
        "channel": "",
        "regisTime": "1246566789345",
    }


def assets(desk: Desk, call: Call) -> Json:
    wanted = call.query.optional_text("coin").upper()
    found: list[Json] = []
    for balance in desk.exchange.query.balances(call.uid):
        if balance.spot and wanted in ("", balance.coin):
            row: Row = {
                "coin": balance.coin,
                "available": number(balance.spot),
                "frozen": "0",
                "locked": "0",
                "limitAvailable": "0",
                "uTime": str(call.now_ms),
            }
            found.append(row)
    return found


def transfer(desk: Desk, call: Call) -> Json:
    """A repeated clientOid answers what the first one did: the one write that may be sent again blindly (8.1)."""
    body = call.body
    source, target = body.word("fromType", *_TYPES), body.word("toType", *_TYPES)
    coin, amount = body.text("coin").upper(), body.decimal("amount")
    name = body.optional_text("clientOid")
    known = desk.memory.transfers.get((call.uid, name))
    if name and known is not None:
        return known
    if amount < _LEAST:
        raise VenueError("40799")
    to_futures, futures = source == "spot", target if source == "spot" else source
    if "spot" not in (source, target) or _FUTURES.get(futures) != coin:
        raise VenueError("43129")
    direction = TransferDirection.TO_FUTURES if to_futures else TransferDirection.TO_SPOT
    try:
        done = desk.exchange.transfer(call.uid, direction, amount, call.now_ms, coin)
    except Refused as refusal:
        if refusal.reason is RefusalReason.INSUFFICIENT_BALANCE:
            raise VenueError("43117") from refusal
        raise
    answer: Row = {"transferId": done.transfer_id, "clientOid": name or done.transfer_id}
    if name:
        desk.memory.transfers[call.uid, name] = answer
    desk.memory.transfer_rows.setdefault(call.uid, []).append(
        {
            "coin": coin,
            "status": "Successful",
            "toType": target,
            "toSymbol": "",
            "fromType": source,
            "fromSymbol": "",
            "size": f"{amount:.8f}",
            "ts": str(done.at_ms),
            "clientOid": answer["clientOid"],
            "transferId": answer["transferId"],
        }
    )
    return answer


def transfer_records(desk: Desk, call: Call) -> Json:
    """A bare list, newest first."""
    query = call.query
    coin, name = query.text("coin").upper(), query.optional_text("clientOid")
    source = query.word("fromType", "", *_TYPES)
    end_ms = query.integer("endTime", default=call.now_ms)
    start_ms = query.integer("startTime", default=max(end_ms - QUARTER_DAYS * DAY_MS, 0))
    if end_ms < start_ms or end_ms - start_ms > QUARTER_DAYS * DAY_MS:
        raise VenueError("00001", fill=str(QUARTER_DAYS))
    limit = query.integer("limit", default=ROWS_MAX, low=1, high=500)
    below = query.integer("idLessThan", default=0)
    found = [
        row
        for row in reversed(desk.memory.transfer_rows.get(call.uid, []))
        if row["coin"] == coin
        and name in ("", row["clientOid"])
        and source in ("", row["fromType"])
        and start_ms <= int(str(row["ts"])) <= end_ms
        and (not below or int(str(row["transferId"])) < below)
    ]
    return found[:limit]
