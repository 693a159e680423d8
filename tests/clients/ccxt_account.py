"""Batches, account settings, refusals, the trading WebSocket and the books, by ccxt."""

import ccxt
import ccxt.pro

from ccxt_run import ID, SYMBOL, client
from drive import units


async def batches(run):
    """Several orders at a time, all at once, and by the dead man's switch."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("batch: one of three is refused")

    def asked(px, name):
        return {
            "symbol": SYMBOL,
            "type": "limit",
            "side": "buy",
            "amount": lots,
            "price": px,
            "params": {"clientOrderId": name},
        }

    names = [run.name() for _ in range(3)]
    wanted = [low, run.px(bid * 0.01), run.px(bid * 0.965)]
    answers = await x.create_orders([asked(px, name) for px, name in zip(wanted, names)])
    # ccxt sorts the answers by time, which a refusal has none of.
    refused, placed = answers[0], answers[1:]
    drive.same("answers", [a["status"] for a in answers], ["rejected", "open", "open"])
    drive.check(int(refused["info"]["code"]) < 0, "no reason for the refusal")
    drive.same("names", sorted(a["clientOrderId"] for a in placed), [names[0], names[2]])
    drive.ordered(2)
    drive.step("batch: changed and cancelled")
    changes = [asked(run.px(bid * 0.96), a["clientOrderId"]) | {"id": a["id"]} for a in placed]
    for change in changes:
        change["params"] = {}
    changed = await x.edit_orders(changes)
    drive.same("prices", [c["price"] for c in changed], [run.px(bid * 0.96)] * 2)
    gone = await x.cancel_orders([a["id"] for a in placed], SYMBOL)
    drive.same("cancelled", [g["status"] for g in gone], ["canceled", "canceled"])
    for order in placed:
        await run.settled(order, "CANCELED")
    drive.step("cancel all")
    placed = [await run.place("limit", "buy", lots, low) for _ in range(3)]
    await x.cancel_all_orders(SYMBOL)
    for order in placed:
        await run.settled(order, "CANCELED")
    drive.step("countdown")
    placed = [await run.place("limit", "buy", lots, low) for _ in range(2)]
    answer = await x.fapiPrivatePostCountdownCancelAll({"symbol": ID, "countdownTime": 500})
    drive.same("symbol", answer["symbol"], ID)
    drive.same("countdown", int(answer["countdownTime"]), 500)
    for order in placed:
        await run.settled(order, "CANCELED")
    stopped = await x.fapiPrivatePostCountdownCancelAll({"symbol": ID, "countdownTime": 0})
    drive.same("stopped", int(stopped["countdownTime"]), 0)


async def settings(run):
    """Leverage, fees, brackets, limits."""
    drive, x = run.drive, run.x
    drive.step("leverage")
    answer = await x.set_leverage(7, SYMBOL)
    drive.same("leverage", int(answer["leverage"]), 7)
    drive.check(units(answer["maxNotionalValue"]) > 0, "no largest value")
    drive.same("told", (await x.fetch_leverage(SYMBOL))["longLeverage"], 7)
    drive.step("fees, brackets, modes")
    fee = await x.fetch_trading_fee(SYMBOL)
    drive.check(0 <= fee["maker"] <= fee["taker"] < 0.01, f"odd fees {fee}")
    tiers = (await x.fetch_leverage_tiers([SYMBOL]))[SYMBOL]
    drive.check(all(a["maxNotional"] == b["minNotional"] for a, b in zip(tiers, tiers[1:])), "gaps")
    drive.check(tiers[0]["maxLeverage"] > tiers[-1]["maxLeverage"], "tiers do not fall")
    drive.same("margin mode", (await x.fetch_margin_mode(SYMBOL))["marginMode"], "cross")
    drive.same("position mode", (await x.fetch_position_mode(SYMBOL))["hedged"], False)


async def hedge(run):
    """A long and a short at once."""
    drive, x = run.drive, run.x
    drive.step("hedge mode")
    await x.set_position_mode(True)
    drive.same("position mode", (await x.fetch_position_mode(SYMBOL))["hedged"], True)
    bid, _ = await run.quote()
    lots = run.lots(bid, 300)
    await run.refused(-4061, ccxt.BaseError, run.place("market", "buy", lots))
    for side in ("buy", "sell"):
        order = await run.place("market", side, lots, hedged=True)
        drive.same("side", order["info"]["positionSide"], "LONG" if side == "buy" else "SHORT")
        await run.settled(order, "FILLED")
    held = {p["side"]: p for p in await x.fetch_positions([SYMBOL])}
    drive.same("sides", sorted(held), ["long", "short"])
    drive.same("sizes", [p["contracts"] for p in held.values()], [lots, lots])
    for side in ("LONG", "SHORT"):
        await run.seen(side, lambda: run.position_told(side) == lots)
        drive.same("in the ledger", abs(drive.ledger().position_qty(ID, side)), units(lots))
    await run.refused(-4068, ccxt.BaseError, x.set_position_mode(False))
    for side in ("sell", "buy"):
        order = await run.place("market", side, lots, hedged=True, reduceOnly=True)
        await run.settled(order, "FILLED")
    drive.same("positions", await x.fetch_positions([SYMBOL]), [])
    await x.set_position_mode(False)
    await run.refused(-4059, ccxt.BaseError, x.set_position_mode(False))


async def isolated(run):
    """A position with a margin of its own."""
    drive, x = run.drive, run.x
    drive.step("isolated margin")
    await x.set_margin_mode("isolated", SYMBOL)
    again = x.set_margin_mode("isolated", SYMBOL)
    await run.refused(-4046, ccxt.MarginModeAlreadySet, again)
    bid, _ = await run.quote()
    lots = run.lots(bid, 300)
    await run.settled(await run.place("market", "buy", lots), "FILLED")
    before = (await x.fetch_positions([SYMBOL]))[0]
    drive.same("margin mode", before["marginMode"], "isolated")
    drive.same("added", (await x.add_margin(SYMBOL, 10))["status"], "ok")
    after = (await x.fetch_positions([SYMBOL]))[0]
    wallets = [units(p["info"]["isolatedWallet"]) for p in (before, after)]
    drive.same("own margin", wallets[1] - wallets[0], units(10))
    drive.same("taken", (await x.reduce_margin(SYMBOL, 5))["status"], "ok")
    order = await run.place("market", "sell", lots, reduceOnly=True)
    await run.settled(order, "FILLED")
    await x.set_margin_mode("cross", SYMBOL)


async def refusals(run):
    """What is wrong is refused with the venue's number, and ccxt knows it."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("refusals of orders")
    await x.set_leverage(1, SYMBOL)
    free = (await x.fetch_balance())["USDT"]["free"]
    large = run.lots(bid, free * 1.2)
    poor = run.place("limit", "buy", min(large, run.market["limits"]["amount"]["max"]), low)
    await run.refused(-2019, ccxt.InsufficientFunds, poor)
    await x.set_leverage(20, SYMBOL)
    order = await run.place("limit", "buy", lots, low)
    twin = run.place("limit", "buy", lots, low, clientOrderId=order["clientOrderId"])
    await run.refused(-4116, ccxt.InvalidOrder, twin)
    await x.cancel_order(order["id"], SYMBOL)
    await run.settled(order, "CANCELED")
    await run.refused(-2011, ccxt.OrderNotFound, x.cancel_order(order["id"], SYMBOL))
    await run.refused(-2013, ccxt.OrderNotFound, x.fetch_order("999999999999", SYMBOL))
    raw = {"symbol": ID, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    small = raw | {"quantity": lots, "price": run.px(bid * 0.01)}
    await run.refused(-4164, ccxt.InvalidOrder, x.fapiPrivatePostOrder(small))
    fine = raw | {"quantity": "0.00000001", "price": low}
    await run.refused(-1111, ccxt.BadRequest, x.fapiPrivatePostOrder(fine))
    nowhere = x.fapiPrivatePostOrder(raw | {"symbol": "NOPEUSDT", "quantity": 1, "price": 1})
    await run.refused(-1121, ccxt.BadSymbol, nowhere)
    bare = x.fapiPrivatePostOrder({"symbol": ID, "side": "BUY", "type": "LIMIT"})
    await run.refused(-1102, ccxt.BadRequest, bare)
    drive.step("refusals of requests")
    late = {"symbol": ID, "timestamp": x.milliseconds() - 60_000}
    await run.refused(-1021, ccxt.InvalidNonce, x.fapiPrivateGetOpenOrders(late))
    for changes, code in (({"secret": "wrong"}, -1022), ({"apiKey": "wrong" * 12}, -2014)):
        other = client(ccxt.pro.binanceusdm, drive, **changes)
        try:
            asked = other.fapiPrivateGetOpenOrders({"symbol": ID})
            await run.refused(code, ccxt.AuthenticationError, asked)
        finally:
            await other.close()


async def by_socket(run):
    """Orders and queries over the trading WebSocket."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("orders over the trading WebSocket")
    mine = {"clientOrderId": run.name()}
    order = await x.create_order_ws(SYMBOL, "limit", "buy", lots, low, mine)
    drive.ordered()
    drive.fields(order, clientOrderId=mine["clientOrderId"], status="open", price=low)
    lower = run.px(bid * 0.965)
    changed = await x.edit_order_ws(order["id"], SYMBOL, "limit", "buy", lots, lower)
    drive.same("price", changed["price"], lower)
    found = await x.fetch_order_ws(order["id"], SYMBOL)
    drive.fields(found, price=lower, clientOrderId=order["clientOrderId"], status="open")
    drive.same("end", (await x.cancel_order_ws(order["id"], SYMBOL))["status"], "canceled")
    await run.settled(order, "CANCELED")
    await run.refused(-2011, ccxt.OrderNotFound, x.cancel_order_ws(order["id"], SYMBOL))
    for side in ("buy", "sell"):
        mine = {"clientOrderId": run.name()}
        order = await x.create_order_ws(SYMBOL, "market", side, lots, None, mine)
        drive.ordered()
        await run.settled(order, "FILLED")
    stop = {"clientAlgoId": run.name(), "stopLossPrice": low, "reduceOnly": False}
    algo = await x.create_order_ws(SYMBOL, "market", "sell", lots, None, stop)
    drive.ordered()
    drive.same("algo status", algo["info"]["algoStatus"], "NEW")
    await x.cancel_order_ws(algo["id"], SYMBOL, {"trigger": True})
    await run.seen("its end", lambda: run.orders[algo["id"]]["info"]["X"] == "CANCELED")
    drive.step("queries over the trading WebSocket")
    book = await x.fetch_order_book_ws(SYMBOL, 10)
    drive.check(book["bids"][0][0] < book["asks"][0][0], "the book is crossed")
    drive.check((await x.fetch_ticker_ws(SYMBOL))["bid"] > 0, "no best bid")
    for method in ("account.status", "v2/account.status", "account.balance", "v2/account.balance"):
        told = await x.fetch_balance_ws({"method": method})
        drive.same(method, units(told["USDT"]["total"]), drive.ledger().wallet)
    drive.same("positions", await x.fetch_positions_ws([SYMBOL]), [])


async def closing(run):
    """Flat, and every sum is the ledger's to the last unit."""
    drive, x = run.drive, run.x
    drive.step("the books")
    kept = drive.ledger()
    told = await x.fetch_balance()
    drive.same("wallet", units(told["info"]["totalWalletBalance"]), kept.wallet)
    drive.same("total", units(told["USDT"]["total"]), kept.wallet)
    drive.same("free", units(told["USDT"]["free"]), kept.wallet)
    await run.seen("the balance", lambda: run.wallet and units(run.wallet) == kept.wallet)
    own = await x.fetch_my_trades(SYMBOL, limit=1000)
    drive.same("trades", sorted(int(t["id"]) for t in own), kept.all_trade_ids)
    fees = sum(units(t["fee"]["cost"]) for t in own)
    won = sum(units(t["info"]["realizedPnl"]) for t in own)
    drive.same("fees", fees, kept.fees)
    drive.same("realised", won, kept.realized)
    drive.same("sum", kept.deposit + won - fees + kept.funding, kept.wallet)
    income = await x.fetch_ledger("USDT", limit=1000)
    sums = {}
    for entry in income:
        kind, amount = entry["info"]["incomeType"], units(entry["info"]["income"])
        sums[kind] = sums.get(kind, 0) + amount
    drive.same("income: fees", sums["COMMISSION"], -fees)
    drive.same("income: realised", sums.get("REALIZED_PNL", 0), won)
    drive.same("income: funding", sums.get("FUNDING_FEE", 0), kept.funding)
    every = await x.fetch_orders(SYMBOL, limit=1000)
    drive.same("orders", sorted(o["clientOrderId"] for o in every), kept.client_ids(ID))
    drive.same("open", await x.fetch_open_orders(SYMBOL), [])


async def accounts(run):
    """All of it."""
    await batches(run)
    await settings(run)
    await hedge(run)
    await isolated(run)
    await refusals(run)
    await by_socket(run)
    await closing(run)
