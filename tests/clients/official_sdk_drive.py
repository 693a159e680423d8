"""Drives the simulated exchange with the venue's own unmodified SDK: data, streams, every order."""

import asyncio
from importlib.metadata import version

from drive import Drive, units
from official_sdk_account import accounts
from official_sdk_run import SYMBOL, Run

PACKAGE = "binance-sdk-derivatives-trading-usds-futures"


def public_data(run):
    """Everything that needs no account."""
    drive, ask = run.drive, run.ask
    drive.step("time, contracts")
    ask("test_connectivity")
    drive.check(ask("check_server_time")["serverTime"] > 1.6e12, "no time")
    info = ask("exchange_information")
    contract = next(s for s in info["symbols"] if s["symbol"] == SYMBOL)
    drive.fields(contract, status="TRADING", contractType="PERPETUAL", marginAsset="USDT")
    run.filters = {f["filterType"]: f for f in contract["filters"]}
    drive.step("order book, trades, klines")
    book = ask("order_book", SYMBOL, limit=100)
    drive.check(units(book["bids"][0][0]) < units(book["asks"][0][0]), "the book is crossed")
    for what in ("recent_trades_list", "old_trades_lookup", "compressed_aggregate_trades_list"):
        drive.check(len(ask(what, SYMBOL, limit=10)) > 0, f"{what} is empty")
    bars = {"interval": "1m", "limit": 10}
    for what in ("kline", "mark_price_kline", "index_price_kline", "premium_index_kline"):
        name = f"{what}_{'data' if what.startswith('premium') else 'candlestick_data'}"
        told = ask(name, SYMBOL, **bars)
        drive.check(told and all(len(bar) == 12 for bar in told), f"{name}: no bars")
    told = ask("continuous_contract_kline_candlestick_data", SYMBOL, "PERPETUAL", **bars)
    drive.check(told and all(len(bar) == 12 for bar in told), "no continuous bars")
    drive.step("tickers, funding, open interest")
    for what in (
        "ticker24hr_price_change_statistics",
        "symbol_price_ticker",
        "symbol_price_ticker_v2",
        "symbol_order_book_ticker",
        "mark_price",
        "open_interest",
    ):
        drive.same(what, ask(what, SYMBOL)["symbol"], SYMBOL)
    for what in ("ticker24hr_price_change_statistics", "symbol_price_ticker", "mark_price"):
        drive.check(SYMBOL in [t["symbol"] for t in ask(what)], f"not in {what} of all")
    drive.check(len(ask("get_funding_rate_history", symbol=SYMBOL, limit=3)) > 0, "no past rates")
    drive.check(isinstance(ask("get_funding_rate_info"), list), "no funding intervals")
    for what in (
        "open_interest_statistics",
        "long_short_ratio",
        "top_trader_long_short_ratio_accounts",
        "top_trader_long_short_ratio_positions",
        "taker_buy_sell_volume",
    ):
        drive.check(len(ask(what, SYMBOL, "5m", limit=3)) > 0, f"{what} is empty")
    run.fits()


async def market_streams(run):
    """Every kind of market stream delivers what its model wants."""
    drive, streams = run.drive, run.streams
    drive.step("market streams")
    seen = {}

    async def listen(what, *args, **params):
        handle = await getattr(streams, what)(*args, **params)
        seen[what] = 0

        def count(told):
            plain_told = told[0] if isinstance(told, list) else told
            drive.check(plain_told.e, f"{what} has no event name")
            seen[what] += 1
            drive.counts["events"] += 1

        handle.on("message", count)
        return handle

    lower = SYMBOL.lower()
    handles = [
        await listen("aggregate_trade_streams", lower),
        await listen("mark_price_stream", lower, update_speed="1s"),
        await listen("kline_candlestick_streams", lower, "1m"),
        await listen("continuous_contract_kline_candlestick_streams", lower, "perpetual", "1m"),
        await listen("individual_symbol_ticker_streams", lower),
        await listen("individual_symbol_mini_ticker_stream", lower),
        await listen("mark_price_stream_for_all_market", update_speed="1s"),
        await listen("individual_symbol_book_ticker_streams", lower),
        await listen("partial_book_depth_streams", lower, "5", update_speed="100ms"),
        await listen("diff_book_depth_streams", lower, update_speed="100ms"),
    ]
    for what in seen:
        await drive.wait(what, lambda: seen[what])
    for handle in handles:
        await handle.unsubscribe()
    run.fits()


async def limits(run):
    """Limit orders of every time in force."""
    drive, ask = run.drive, run.ask
    bid, high = run.quote()
    low, over, lots = run.px(bid * 0.97), run.px(high * 1.01), run.lots(bid)
    buy = {"type": "LIMIT", "side": "BUY", "quantity": lots}
    drive.step("limit GTC: place, see, amend, cancel")
    order = run.place(**buy, time_in_force="GTC", price=low)
    drive.fields(order, status="NEW", positionSide="BOTH")
    await run.settled(order, "NEW")
    resting = ask("current_all_open_orders", symbol=SYMBOL)
    drive.same("open orders", [o["orderId"] for o in resting], [order["orderId"]])
    same = ask("query_current_open_order", SYMBOL, order_id=order["orderId"])
    drive.same("the open order", same["clientOrderId"], order["clientOrderId"])
    lower = run.px(bid * 0.965)
    change = {"order_id": order["orderId"], "modify_id": 42}
    changed = ask("modify_order", SYMBOL, "BUY", lots, lower, **change)
    drive.same("price", units(changed["price"]), units(lower))
    await run.seen("the change", lambda: (order["orderId"], "AMENDMENT") in run.executions)
    past = ask("get_order_modify_history", SYMBOL, order_id=order["orderId"])
    drive.same("amended price", units(past[0]["amendment"]["price"]["after"]), units(lower))
    gone = ask("cancel_order", SYMBOL, order_id=order["orderId"])
    drive.same("status", gone["status"], "CANCELED")
    await run.settled(order, "CANCELED")
    drive.step("limit GTX: rests, or is refused")
    order = run.place(**buy, time_in_force="GTX", price=low)
    ask("cancel_order", SYMBOL, orig_client_order_id=order["clientOrderId"])
    await run.settled(order, "CANCELED")
    run.refused(-5022, "new_order", SYMBOL, **buy, time_in_force="GTX", price=over)
    drive.step("limit IOC and FOK: take, expire, or are refused")
    told = {"new_order_resp_type": "RESULT"}
    order = run.place(**buy, time_in_force="IOC", price=over, **told)
    drive.same("status", order["status"], "FILLED")
    await run.settled(order, "FILLED")
    order = run.place(**buy, time_in_force="IOC", price=low, **told)
    await run.settled(order, "EXPIRED")
    under = run.px(bid * 0.99)
    order = run.place(**buy | {"side": "SELL"}, time_in_force="FOK", price=under)
    await run.settled(order, "FILLED")
    run.refused(-5021, "new_order", SYMBOL, **buy, time_in_force="FOK", price=low)
    drive.step("limit GTD")
    till = ask("check_server_time")["serverTime"] // 1000 * 1000 + 700_000
    order = run.place(**buy, time_in_force="GTD", price=low, good_till_date=till)
    drive.same("end", order["goodTillDate"], till)
    ask("cancel_order", SYMBOL, order_id=order["orderId"])
    await run.settled(order, "CANCELED")


async def markets(run):
    """Market orders and reduce-only."""
    drive, ask = run.drive, run.ask
    bid, high = run.quote()
    lots = run.lots(bid, 600)
    drive.step("market orders move the position")
    await run.settled(run.place(type="MARKET", side="BUY", quantity=lots), "FILLED")
    risk = ask("position_information_v3", symbol=SYMBOL)
    drive.same("position", [units(p["positionAmt"]) for p in risk], [units(lots)])
    drive.same("in the ledger", drive.ledger().position_qty(SYMBOL), units(lots))
    await run.seen("the position", lambda: run.held() == units(lots))
    for what in ("position_information_v2", "position_adl_quantile_estimation"):
        drive.check(SYMBOL in [p["symbol"] for p in ask(what, symbol=SYMBOL)], f"not in {what}")
    drive.step("reduce only")
    sell = {"type": "LIMIT", "side": "SELL", "quantity": lots, "time_in_force": "GTC"}
    order = run.place(**sell, price=run.px(high * 1.03), reduce_only="true")
    ask("cancel_order", SYMBOL, order_id=order["orderId"])
    await run.settled(order, "CANCELED")
    wrong = {"type": "MARKET", "side": "BUY", "quantity": lots, "reduce_only": "true"}
    run.refused(-2022, "new_order", SYMBOL, **wrong)
    await run.settled(run.place(**wrong | {"side": "SELL"}), "FILLED")
    await run.seen("the position gone", lambda: run.held() == 0)


async def main():
    """Everything in turn."""
    drive = Drive("binance-sdk", version(PACKAGE))
    run = Run(drive)
    public_data(run)
    await run.follow()
    try:
        await market_streams(run)
        await limits(run)
        await markets(run)
        await accounts(run)
    finally:
        await run.streams.close_connection(close_session=True)
    drive.counts["fills"] = run.fill_count
    drive.finish()


if __name__ == "__main__":
    asyncio.run(main())
