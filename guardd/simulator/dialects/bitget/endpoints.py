"""Every REST call of the classic account that is served, and how often it may be made. Bitget reference, 4."""

from guardd.simulator.dialects.bitget_common.endpoints import Endpoint, public, read, write

MIX = "/api/v2/mix"
_MARKET = (
    public(f"{MIX}/market/contracts", 20),
    public(f"{MIX}/market/ticker", 20),
    public(f"{MIX}/market/tickers", 20),
    public(f"{MIX}/market/symbol-price", 20),
    public(f"{MIX}/market/current-fund-rate", 20),
    public(f"{MIX}/market/funding-time", 20),
    public(f"{MIX}/market/history-fund-rate", 20),
    public(f"{MIX}/market/candles", 20),
    public(f"{MIX}/market/history-candles", 20),
    public(f"{MIX}/market/history-mark-candles", 20),
    public(f"{MIX}/market/history-index-candles", 20),
    public(f"{MIX}/market/open-interest", 20),
    public(f"{MIX}/market/merge-depth", 20),
    public(f"{MIX}/market/fills", 20),
    public(f"{MIX}/market/fills-history", 10),
    public(f"{MIX}/market/query-position-lever", 10),
)
# Listings of the venue's other halves, empty: general clients ask for them before they look at futures.
_ELSEWHERE = (
    public("/api/v2/public/time", 20, market=False),
    public("/api/v2/spot/public/symbols", 20, market=False),
    public("/api/v2/spot/public/coins", 3, market=False),
    public("/api/v2/margin/currencies", 10, market=False),
)
_ACCOUNT = (
    read(f"{MIX}/account/account", 10),
    read(f"{MIX}/account/accounts", 10),
    read(f"{MIX}/account/bill", 10),
    read(f"{MIX}/account/liq-price", 20),
    write(f"{MIX}/account/set-leverage", 5),
    write(f"{MIX}/account/set-margin", 5),
    write(f"{MIX}/account/set-margin-mode", 5),
    write(f"{MIX}/account/set-position-mode", 5),
    write(f"{MIX}/account/set-auto-margin", 5),
    write(f"{MIX}/account/set-asset-mode", 2),
    read("/api/v2/common/trade-rate", 10),
    read("/api/v2/spot/account/info", 1),
    read("/api/v2/spot/account/assets", 10),
    read("/api/v2/spot/account/transferRecords", 20),
    write("/api/v2/spot/wallet/transfer", 10),
)
_POSITIONS = (
    read(f"{MIX}/position/single-position", 10),
    read(f"{MIX}/position/all-position", 5),
    read(f"{MIX}/position/history-position", 20),
    read(f"{MIX}/position/adlRank", 5),
)
_ORDERS = (
    write(f"{MIX}/order/place-order", 10),
    write(f"{MIX}/order/batch-place-order", 5),
    write(f"{MIX}/order/modify-order", 10),
    write(f"{MIX}/order/cancel-order", 10),
    write(f"{MIX}/order/batch-cancel-orders", 10),
    write(f"{MIX}/order/cancel-all-orders", 10),
    write(f"{MIX}/order/close-positions", 1),
    read(f"{MIX}/order/detail", 10),
    read(f"{MIX}/order/orders-pending", 10),
    read(f"{MIX}/order/orders-history", 10),
    read(f"{MIX}/order/fills", 10),
    read(f"{MIX}/order/fill-history", 10),
)
_PLANS = (
    write(f"{MIX}/order/place-tpsl-order", 10),
    write(f"{MIX}/order/place-pos-tpsl", 10),
    write(f"{MIX}/order/place-plan-order", 10),
    write(f"{MIX}/order/modify-tpsl-order", 10),
    write(f"{MIX}/order/modify-plan-order", 10),
    write(f"{MIX}/order/cancel-plan-order", 10),
    read(f"{MIX}/order/orders-plan-pending", 10),
    read(f"{MIX}/order/orders-plan-history", 10),
    read(f"{MIX}/order/plan-sub-order", 10),
)
ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    (each.method, each.path): each for each in (*_MARKET, *_ELSEWHERE, *_ACCOUNT, *_POSITIONS, *_ORDERS, *_PLANS)
}
