"""Drives the simulated exchange with unmodified ccxt and ccxt.pro: data, streams, every order."""

import asyncio

import ccxt
import ccxt.pro

from ccxt_account import accounts
from ccxt_conditional import conditionals
from ccxt_run import ID, SYMBOL, Run, client
from drive import Drive, units


def public_data(drive):
    """Everything that needs no account, with the blocking client."""
    x = client(ccxt.binanceusdm, drive)
    drive.step("load markets")
    market = x.load_markets()[SYMBOL]
    drive.fields(market, id=ID, swap=True, linear=True, active=True, settle="USDT")
    drive.check(market["precision"]["price"] > 0, "no tick size")
    drive.check(market["limits"]["cost"]["min"] > 0, "no least value")
    drive.step("time")
    drive.check(abs(x.fetch_time() - x.milliseconds()) < 60_000, "the clocks differ by minutes")
    drive.step("order book")
    book = x.fetch_order_book(SYMBOL, 50)
    bids, asks = book["bids"], book["asks"]
    drive.check(len(bids) == 50 and len(asks) == 50, "not 50 levels a side")
    drive.check(bids[0][0] < asks[0][0], "the book is crossed")
    drive.check(all(a[0] > b[0] for a, b in zip(bids, bids[1:])), "bids are out of order")
    drive.check(all(a[0] < b[0] for a, b in zip(asks, asks[1:])), "asks are out of order")
    drive.step("trades")
    trades = x.fetch_trades(SYMBOL, limit=20)
    drive.check(len(trades) > 0, "no trades")
    drive.check(all(t["price"] > 0 and t["side"] in ("buy", "sell") for t in trades), "a bad trade")
    drive.step("klines")
    for kind in ({}, {"price": "mark"}, {"price": "index"}, {"price": "premiumIndex"}):
        bars = x.fetch_ohlcv(SYMBOL, "1m", limit=10, params=kind)
        drive.check(len(bars) > 0, f"no bars {kind}")
        drive.check(all(b[2] >= max(b[1], b[4]) >= b[3] for b in bars), f"a bad bar {kind}")
        drive.check(all(b[0] - a[0] == 60_000 for a, b in zip(bars, bars[1:])), "bars with gaps")
    drive.step("tickers")
    drive.check(x.fetch_ticker(SYMBOL)["last"] > 0, "no last price")
    drive.check(SYMBOL in x.fetch_tickers(), "not in the list of tickers")
    drive.check(x.fetch_bids_asks([SYMBOL])[SYMBOL]["bid"] > 0, "no best bid")
    drive.check(x.fetch_last_prices([SYMBOL])[SYMBOL]["price"] > 0, "no last price")
    drive.check(x.fetch_mark_price(SYMBOL)["markPrice"] > 0, "no mark price")
    derivatives_data(drive, x)


def derivatives_data(drive, x):
    """Funding and open interest."""
    drive.step("funding")
    now = x.fetch_funding_rate(SYMBOL)
    drive.check(now["markPrice"] > 0 and now["indexPrice"] > 0, "no mark or index price")
    drive.check(now["fundingTimestamp"] > x.milliseconds() - 60_000, "the next funding is past")
    drive.check(SYMBOL in x.fetch_funding_rates(), "not in the list of rates")
    drive.check(SYMBOL in x.fetch_funding_intervals(), "no funding interval")
    past = x.fetch_funding_rate_history(SYMBOL, limit=5)
    drive.check(len(past) > 0 and all(abs(p["fundingRate"]) < 0.1 for p in past), "no past rates")
    drive.step("open interest")
    drive.check(x.fetch_open_interest(SYMBOL)["openInterestAmount"] > 0, "no open interest")
    past = x.fetch_open_interest_history(SYMBOL, "5m", limit=5)
    drive.check(len(past) > 0 and past[0]["openInterestAmount"] > 0, "no past open interest")
    drive.check(len(x.fetch_long_short_ratio_history(SYMBOL, "5m", limit=3)) > 0, "no ratios")


async def limits(run):
    """Limit orders of every time in force."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("limit GTC: place, see, amend, cancel")
    order = await run.place("limit", "buy", lots, low)
    drive.fields(order, status="open", filled=0.0, price=low, amount=lots)
    await run.settled(order, "NEW")
    resting = await x.fetch_open_orders(SYMBOL)
    drive.check(order["id"] in [o["id"] for o in resting], "not among the open orders")
    lower = run.px(bid * 0.965)
    amended = await x.edit_order(order["id"], SYMBOL, "limit", "buy", lots * 2, lower)
    drive.fields(amended, id=order["id"], price=lower, amount=lots * 2)
    await run.seen("the change", lambda: (order["id"], "AMENDMENT") in run.executions)
    drive.same("status", (await x.cancel_order(order["id"], SYMBOL))["status"], "canceled")
    await run.settled(order, "CANCELED")
    drive.step("limit GTX: rests, or is refused")
    order = await run.place("limit", "buy", lots, low, postOnly=True)
    drive.fields(order, timeInForce="PO", postOnly=True)
    await x.cancel_order(None, SYMBOL, {"clientOrderId": order["clientOrderId"]})
    await run.settled(order, "CANCELED")
    over = run.px(ask * 1.01)
    crossing = run.place("limit", "buy", lots, over, postOnly=True)
    await run.refused(-5022, ccxt.InvalidOrder, crossing)
    drive.step("limit IOC: takes, or expires")
    order = await run.place("limit", "buy", lots, over, timeInForce="IOC")
    drive.same("status", order["status"], "closed")
    await run.settled(order, "FILLED")
    order = await run.place("limit", "buy", lots, low, timeInForce="IOC")
    drive.same("status", order["status"], "expired")
    await run.settled(order, "EXPIRED")
    drive.step("limit FOK: takes all, or is refused")
    order = await run.place("limit", "sell", lots, run.px(bid * 0.99), timeInForce="FOK")
    await run.settled(order, "FILLED")
    unfilled = run.place("limit", "buy", lots, low, timeInForce="FOK")
    await run.refused(-5021, ccxt.InvalidOrder, unfilled)
    drive.step("limit GTD")
    till = (x.milliseconds() // 1000 + 700) * 1000
    order = await run.place("limit", "buy", lots, low, timeInForce="GTD", goodTillDate=till)
    drive.same("end", int(order["info"]["goodTillDate"]), till)
    await x.cancel_order(order["id"], SYMBOL)
    await run.settled(order, "CANCELED")


async def markets(run):
    """Market orders and reduce-only."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    lots = run.lots(bid, 600)
    drive.step("market orders move the position")
    order = await run.place("market", "buy", lots)
    drive.same("status", order["status"], "closed")
    await run.settled(order, "FILLED")
    held = await x.fetch_positions([SYMBOL])
    drive.same("positions", [(p["side"], p["contracts"]) for p in held], [("long", lots)])
    drive.same("in the ledger", drive.ledger().position_qty(ID), units(lots))
    await run.seen("the position", lambda: run.position_told("BOTH") == lots)
    drive.step("reduce only")
    order = await run.place("limit", "sell", lots, run.px(ask * 1.03), reduceOnly=True)
    drive.same("reduceOnly", order["reduceOnly"], True)
    await x.cancel_order(order["id"], SYMBOL)
    await run.settled(order, "CANCELED")
    wrong = run.place("market", "buy", lots, reduceOnly=True)
    await run.refused(-2022, ccxt.InvalidOrder, wrong)
    order = await run.place("market", "sell", lots, reduceOnly=True)
    await run.settled(order, "FILLED")
    drive.same("in the ledger", drive.ledger().position_qty(ID), 0)
    await run.seen("the position gone", lambda: run.position_told("BOTH") == 0)


async def main():
    """Everything in turn."""
    drive = Drive("ccxt", ccxt.__version__)
    public_data(drive)
    x = client(ccxt.pro.binanceusdm, drive)
    try:
        run = Run(drive, x)
        await x.load_markets()
        run.market = x.market(SYMBOL)
        await run.follow()
        await run.market_streams()
        await limits(run)
        await markets(run)
        await conditionals(run)
        await accounts(run)
    finally:
        for task in run.tasks:
            task.cancel()
        await x.close()
    drive.counts["fills"] = run.fill_count
    drive.finish()


if __name__ == "__main__":
    asyncio.run(main())
