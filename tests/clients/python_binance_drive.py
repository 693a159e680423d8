"""Drives the simulated exchange with unmodified python-binance: data, streams, every order."""

import asyncio

import binance
from binance import AsyncClient, Client
from binance.enums import FuturesType

from drive import Drive, units
from python_binance_account import accounts
from python_binance_conditional import conditionals
from python_binance_run import SYMBOL, Run, filters_of, redirect


def public_data(drive):
    """Everything that needs no account, with the blocking client."""
    x = Client(drive.key, drive.secret)
    drive.step("ping, time, contracts")
    drive.same("ping", x.futures_ping(), {})
    drive.check(isinstance(x.futures_time()["serverTime"], int), "the time is no integer")
    info = x.futures_exchange_info()
    drive.check({"PRICE_FILTER", "LOT_SIZE", "MIN_NOTIONAL"} <= set(filters_of(info)), "no filters")
    drive.step("order book, trades")
    book = x.futures_order_book(symbol=SYMBOL, limit=100)
    drive.check(len(book["bids"]) == 100 == len(book["asks"]), "not 100 levels a side")
    drive.check(units(book["bids"][0][0]) < units(book["asks"][0][0]), "the book is crossed")
    trades = x.futures_recent_trades(symbol=SYMBOL, limit=10)
    drive.check(all(units(t["price"]) > 0 for t in trades) and trades, "no trades")
    drive.check(x.futures_historical_trades(symbol=SYMBOL, limit=10), "no old trades")
    sums = x.futures_aggregate_trades(symbol=SYMBOL, limit=10)
    drive.check(sums and all(a["f"] <= a["l"] for a in sums), "no aggregate trades")
    drive.step("klines of every kind")
    pair = {"interval": "1m", "limit": 10}
    for bars in (
        x.futures_klines(symbol=SYMBOL, **pair),
        x.futures_mark_price_klines(symbol=SYMBOL, **pair),
        x.futures_premium_index_klines(symbol=SYMBOL, **pair),
        x.futures_index_price_klines(pair=SYMBOL, **pair),
        x.futures_continuous_klines(pair=SYMBOL, contractType="PERPETUAL", **pair),
    ):
        drive.check(bars and all(len(b) == 12 for b in bars), "no bars of 12 fields")
        drive.check(all(float(b[2]) >= float(b[3]) for b in bars), "high below low")
    drive.step("tickers")
    drive.same("ticker", x.futures_ticker(symbol=SYMBOL)["symbol"], SYMBOL)
    drive.check(SYMBOL in [t["symbol"] for t in x.futures_ticker()], "not among the tickers")
    drive.check(units(x.futures_symbol_ticker(symbol=SYMBOL)["price"]) > 0, "no price")
    drive.check(len(x.futures_orderbook_ticker()) >= 1, "no quotes")
    drive.step("funding, open interest, ratios")
    drive.check(units(x.futures_mark_price(symbol=SYMBOL)["markPrice"]) > 0, "no mark price")
    drive.check(x.futures_funding_rate(symbol=SYMBOL, limit=3), "no past rates")
    drive.check(units(x.futures_open_interest(symbol=SYMBOL)["openInterest"]) > 0, "no interest")
    some = {"symbol": SYMBOL, "period": "5m", "limit": 3}
    drive.check(x.futures_open_interest_hist(**some), "no past open interest")
    drive.check(x.futures_top_longshort_account_ratio(**some), "no ratio of accounts")
    drive.check(x.futures_top_longshort_position_ratio(**some), "no ratio of positions")
    drive.check(x.futures_global_longshort_ratio(**some), "no ratio of all")
    x.close_connection()
    return filters_of(info)


async def market_streams(run):
    """Every kind of market stream delivers."""
    drive, sockets = run.drive, run.sockets

    async def first(socket, count, look):
        """The first messages, unwrapped."""
        async with socket as stream:
            for _ in range(count):
                message = await stream.recv()
                drive.check(message.get("e") != "error", f"the stream broke: {message}")
                look(message.get("data", message))
                drive.counts["events"] += 1

    def depth(told):
        drive.fields(told, e="depthUpdate", s=SYMBOL)
        drive.check(len(told["b"]) == 10 == len(told["a"]), "not 10 levels a side")
        drive.check(units(told["b"][0][0]) < units(told["a"][0][0]), "the book is crossed")

    def one(kind):
        return lambda told: drive.fields(told, e=kind, s=SYMBOL)

    def marks(told):
        drive.check(SYMBOL in [t["s"] for t in told], "not among the marks")

    drive.step("market streams")
    await first(sockets.futures_depth_socket(SYMBOL), 5, depth)
    await first(sockets.symbol_ticker_futures_socket(SYMBOL), 5, one("bookTicker"))
    await first(sockets.aggtrade_futures_socket(SYMBOL), 3, one("aggTrade"))
    await first(sockets.symbol_mark_price_socket(SYMBOL), 2, one("markPriceUpdate"))
    await first(sockets.individual_symbol_ticker_futures_socket(SYMBOL), 1, one("24hrTicker"))
    await first(sockets.all_mark_price_socket(), 1, marks)
    bars = sockets.kline_futures_socket(SYMBOL, "1m")
    await first(bars, 2, lambda told: drive.fields(told, e="continuous_kline", ps=SYMBOL))
    several = [f"{SYMBOL.lower()}@bookTicker", f"{SYMBOL.lower()}@depth@100ms"]
    mixed = sockets.futures_multiplex_socket(several, FuturesType.USD_M, "public")
    kinds = set()
    await first(mixed, 60, lambda told: kinds.add(told["e"]))
    drive.same("kinds on one connection", kinds, {"bookTicker", "depthUpdate"})


async def limits(run):
    """Limit orders of every time in force."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    low, over, lots = run.px(bid * 0.97), run.px(ask * 1.01), run.lots(bid)
    buy = {"type": "LIMIT", "side": "BUY", "quantity": lots}
    drive.step("limit GTC: place, see, amend, cancel")
    order = await run.place(**buy, timeInForce="GTC", price=low)
    drive.fields(order, status="NEW", positionSide="BOTH")
    drive.same("filled", units(order["executedQty"]), 0)
    await run.settled(order, "NEW")
    number = {"symbol": SYMBOL, "orderId": order["orderId"]}
    resting = await x.futures_get_open_orders(symbol=SYMBOL)
    drive.same("open orders", [o["orderId"] for o in resting], [order["orderId"]])
    lower = run.px(bid * 0.965)
    changed = await x.futures_modify_order(**number, side="BUY", quantity=lots, price=lower)
    drive.same("price", units(changed["price"]), units(lower))
    told = (order["orderId"], "AMENDMENT")
    await run.seen("the change", lambda: told in run.executions)
    drive.same("status", (await x.futures_cancel_order(**number))["status"], "CANCELED")
    await run.settled(order, "CANCELED")
    drive.step("limit GTX: rests, or is refused")
    order = await run.place(**buy, timeInForce="GTX", price=low)
    by_name = {"symbol": SYMBOL, "origClientOrderId": order["clientOrderId"]}
    drive.same("by name", (await x.futures_get_order(**by_name))["orderId"], order["orderId"])
    await x.futures_cancel_order(**by_name)
    await run.settled(order, "CANCELED")
    await run.refused(-5022, run.place(**buy, timeInForce="GTX", price=over))
    drive.step("limit IOC: takes, or expires")
    order = await run.place(**buy, timeInForce="IOC", price=over, newOrderRespType="RESULT")
    drive.same("status", order["status"], "FILLED")
    await run.settled(order, "FILLED")
    order = await run.place(**buy, timeInForce="IOC", price=low, newOrderRespType="RESULT")
    drive.same("status", order["status"], "EXPIRED")
    await run.settled(order, "EXPIRED")
    drive.step("limit FOK: takes all, or is refused")
    under = run.px(bid * 0.99)
    order = await run.place(**buy | {"side": "SELL"}, timeInForce="FOK", price=under)
    await run.settled(order, "FILLED")
    await run.refused(-5021, run.place(**buy, timeInForce="FOK", price=low))
    drive.step("limit GTD")
    till = (await x.futures_time())["serverTime"] // 1000 * 1000 + 700_000
    order = await run.place(**buy, timeInForce="GTD", price=low, goodTillDate=till)
    drive.same("end", order["goodTillDate"], till)
    await x.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])
    await run.settled(order, "CANCELED")


async def markets(run):
    """Market orders and reduce-only."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    lots = run.lots(bid, 600)
    drive.step("market orders move the position")
    order = await run.place(type="MARKET", side="BUY", quantity=lots)
    drive.fields(order, status="NEW")
    drive.same("an acknowledgement has no fills", units(order["executedQty"]), 0)
    await run.settled(order, "FILLED")
    risk = await x.futures_position_information(symbol=SYMBOL)
    drive.same("position", [units(p["positionAmt"]) for p in risk], [units(lots)])
    drive.same("in the ledger", drive.ledger().position_qty(SYMBOL), units(lots))
    await run.seen("the position", lambda: run.held() == units(lots))
    drive.step("reduce only")
    sell = {"type": "LIMIT", "timeInForce": "GTC", "side": "SELL", "quantity": lots}
    order = await run.place(**sell, price=run.px(ask * 1.03), reduceOnly="true")
    drive.same("reduceOnly", order["reduceOnly"], True)
    await x.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])
    await run.settled(order, "CANCELED")
    wrong = run.place(type="MARKET", side="BUY", quantity=lots, reduceOnly="true")
    await run.refused(-2022, wrong)
    order = await run.place(type="MARKET", side="SELL", quantity=lots, reduceOnly="true")
    await run.settled(order, "FILLED")
    await run.seen("the position gone", lambda: run.held() == 0)
    drive.step("an order is only tested")
    tested = await x.futures_create_test_order(symbol=SYMBOL, **sell, price=run.px(ask * 1.03))
    drive.check(isinstance(tested, dict), "no answer to a test")
    drive.same("open", await x.futures_get_open_orders(symbol=SYMBOL), [])


async def main(drive, filters):
    """Everything with an account in turn."""
    x = await AsyncClient.create(drive.key, drive.secret)
    run = Run(drive, x)
    run.filters = filters
    try:
        await run.follow()
        await market_streams(run)
        await limits(run)
        await markets(run)
        await conditionals(run)
        await accounts(run)
    finally:
        if run.task:
            run.task.cancel()
            await run.user.close()
        await x.ws_future.close()
        await x.close_connection()
    drive.counts["fills"] = run.fill_count


if __name__ == "__main__":
    drive = Drive("python-binance", binance.__version__)
    redirect(drive)
    filters = public_data(drive)
    asyncio.run(main(drive, filters))
    drive.finish()
