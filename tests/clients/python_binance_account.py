"""Batches, account settings, refusals, the trading WebSocket and the closing of the books."""

from binance import AsyncClient

from drive import units
from python_binance_run import SYMBOL


async def batches(run):
    """Several orders at a time, all at once, and by the dead man's switch."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("batch: one of three is refused")
    buy = {"symbol": SYMBOL, "type": "LIMIT", "side": "BUY", "timeInForce": "GTC"}
    buy |= {"quantity": lots, "price": low}
    names = [run.name() for _ in range(3)]
    wanted = [buy | {"newClientOrderId": name} for name in names]
    wanted[1]["price"] = run.px(bid * 0.01)
    answers = await x.futures_place_batch_order(batchOrders=wanted)
    drive.same("refused", ["code" in a for a in answers], [False, True, False])
    placed = [answers[0], answers[2]]
    drive.same("names", [a["clientOrderId"] for a in placed], [names[0], names[2]])
    drive.ordered(2)
    drive.step("batch: cancelled")
    numbers = [a["orderId"] for a in placed]
    gone = await x.futures_cancel_orders(symbol=SYMBOL, orderidlist=numbers)
    drive.same("cancelled", [g["status"] for g in gone], ["CANCELED"] * 2)
    for order in placed:
        await run.settled(order, "CANCELED")
    drive.step("cancel all")
    placed = [await run.place(**buy) for _ in range(3)]
    answer = await x.futures_cancel_all_open_orders(symbol=SYMBOL)
    drive.same("code", answer["code"], 200)
    for order in placed:
        await run.settled(order, "CANCELED")
    drive.step("countdown")
    placed = [await run.place(**buy) for _ in range(2)]
    answer = await x.futures_countdown_cancel_all(symbol=SYMBOL, countdownTime=500)
    drive.fields(answer, symbol=SYMBOL, countdownTime="500")
    for order in placed:
        await run.settled(order, "CANCELED")
    await x.futures_countdown_cancel_all(symbol=SYMBOL, countdownTime=0)


async def settings(run):
    """Leverage, brackets, fees, modes, limits."""
    drive, x = run.drive, run.x
    drive.step("leverage")
    answer = await x.futures_change_leverage(symbol=SYMBOL, leverage=7)
    drive.fields(answer, symbol=SYMBOL, leverage=7)
    await run.seen("the leverage", lambda: any(c.get("ac", {}).get("l") == 7 for c in run.configs))
    drive.step("brackets, fees, modes, limits")
    (told,) = [b for b in await x.futures_leverage_bracket() if b["symbol"] == SYMBOL]
    told = told["brackets"]
    ends = [(b["notionalCap"], n["notionalFloor"]) for b, n in zip(told, told[1:])]
    drive.check(all(cap == floor for cap, floor in ends), "brackets with gaps")
    fees = await x.futures_commission_rate(symbol=SYMBOL)
    maker, taker = units(fees["makerCommissionRate"]), units(fees["takerCommissionRate"])
    drive.check(0 <= maker <= taker < units("0.01"), f"odd fees {fees}")
    drive.same("hedge", await x.futures_get_position_mode(), {"dualSidePosition": False})
    drive.same("assets", await x.futures_get_multi_assets_mode(), {"multiAssetsMargin": False})
    config = (await x.futures_symbol_config(symbol=SYMBOL))[0]
    drive.fields(config, symbol=SYMBOL, leverage=7, marginType="CROSSED")
    drive.same("trading", (await x.futures_account_config())["canTrade"], True)
    drive.check(await x.futures_v1_get_rate_limit_order(), "no limits of orders")


async def hedge(run):
    """A long and a short at once."""
    drive, x = run.drive, run.x
    drive.step("hedge mode")
    await x.futures_change_position_mode(dualSidePosition="true")
    drive.same("hedge", await x.futures_get_position_mode(), {"dualSidePosition": True})
    bid, _ = await run.quote()
    lots = run.lots(bid, 300)
    both = {"type": "MARKET", "quantity": lots}
    await run.refused(-4061, run.place(**both, side="BUY"))
    for side, kind in (("BUY", "LONG"), ("SELL", "SHORT")):
        order = await run.place(**both, side=side, positionSide=kind)
        drive.same("side", order["positionSide"], kind)
        await run.settled(order, "FILLED")
        await run.seen(kind, lambda: abs(run.held(kind) or 0) == units(lots))
        drive.same("in the ledger", abs(drive.ledger().position_qty(SYMBOL, kind)), units(lots))
    risk = await x.futures_position_information(symbol=SYMBOL)
    told = {p["positionSide"]: units(p["positionAmt"]) for p in risk}
    drive.same("positions", told, {"LONG": units(lots), "SHORT": -units(lots)})
    await run.refused(-4068, x.futures_change_position_mode(dualSidePosition="false"))
    for side, kind in (("SELL", "LONG"), ("BUY", "SHORT")):
        order = await run.place(**both, side=side, positionSide=kind)
        await run.settled(order, "FILLED")
    await x.futures_change_position_mode(dualSidePosition="false")
    await run.refused(-4059, x.futures_change_position_mode(dualSidePosition="false"))


async def isolated(run):
    """A position with a margin of its own."""
    drive, x = run.drive, run.x
    drive.step("isolated margin")
    await x.futures_change_margin_type(symbol=SYMBOL, marginType="ISOLATED")
    again = x.futures_change_margin_type(symbol=SYMBOL, marginType="ISOLATED")
    await run.refused(-4046, again)
    bid, _ = await run.quote()
    lots = run.lots(bid, 300)
    await run.settled(await run.place(type="MARKET", side="BUY", quantity=lots), "FILLED")
    before = (await x.futures_position_information(symbol=SYMBOL))[0]
    added = await x.futures_change_position_margin(symbol=SYMBOL, amount=10, type=1)
    drive.fields(added, code=200, type=1)
    after = (await x.futures_position_information(symbol=SYMBOL))[0]
    own = units(after["isolatedWallet"]) - units(before["isolatedWallet"])
    drive.same("own margin", own, units(10))
    moves = await x.futures_position_margin_history(symbol=SYMBOL)
    drive.check(any(units(m["amount"]) == units(10) for m in moves), "the change is not told")
    await x.futures_change_position_margin(symbol=SYMBOL, amount=5, type=2)
    order = await run.place(type="MARKET", side="SELL", quantity=lots, reduceOnly="true")
    await run.settled(order, "FILLED")
    await x.futures_change_margin_type(symbol=SYMBOL, marginType="CROSSED")


async def refusals(run):
    """What is wrong is refused with the venue's number."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("refusals of orders")
    buy = {"type": "LIMIT", "side": "BUY", "timeInForce": "GTC", "quantity": lots, "price": low}
    await x.futures_change_leverage(symbol=SYMBOL, leverage=1)
    free = units((await x.futures_account())["availableBalance"]) / 1e8
    large = min(float(run.lots(bid, free * 1.2)), float(run.filters["LOT_SIZE"]["maxQty"]))
    await run.refused(-2019, run.place(**buy | {"quantity": large}))
    await x.futures_change_leverage(symbol=SYMBOL, leverage=20)
    order = await run.place(**buy)
    await run.refused(-4116, run.place(**buy, newClientOrderId=order["clientOrderId"]))
    number = {"symbol": SYMBOL, "orderId": order["orderId"]}
    await x.futures_cancel_order(**number)
    await run.settled(order, "CANCELED")
    await run.refused(-2011, x.futures_cancel_order(**number))
    await run.refused(-2013, x.futures_get_order(symbol=SYMBOL, orderId=999_999_999_999))
    await run.refused(-4164, run.place(**buy | {"price": run.px(bid * 0.01)}))
    await run.refused(-1111, run.place(**buy | {"quantity": "0.00000001"}))
    await run.refused(-1111, run.place(**buy | {"price": f"{float(low):.5f}"[:-1] + "1"}))
    await run.refused(-1121, run.place(**buy, symbol="NOPEUSDT"))
    await run.refused(-1102, run.place(type="LIMIT", side="BUY", timeInForce="GTC"))
    await run.refused(-4015, run.place(**buy, newClientOrderId="x" * 37))
    drive.step("refusals of requests")
    x.timestamp_offset, kept = x.timestamp_offset - 60_000, x.timestamp_offset
    await run.refused(-1021, x.futures_get_open_orders(symbol=SYMBOL))
    x.timestamp_offset = kept
    for key, secret, code in (
        (drive.key, "wrong", -1022),
        ("K" * 64, drive.secret, -2015),
        ("no key", drive.secret, -2014),
    ):
        other = AsyncClient(key, secret)
        try:
            await run.refused(code, other.futures_get_open_orders(symbol=SYMBOL))
        finally:
            await other.close_connection()


async def by_socket(run):
    """Orders and queries over the trading WebSocket."""
    drive, x = run.drive, run.x
    bid, _ = await run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("orders over the trading WebSocket")
    buy = {"type": "LIMIT", "side": "BUY", "timeInForce": "GTC", "quantity": lots, "price": low}
    order = await run.place(x.ws_futures_create_order, **buy)
    number = {"symbol": SYMBOL, "orderId": order["orderId"]}
    lower = run.px(bid * 0.965)
    change = {"side": "BUY", "quantity": lots, "price": lower}
    changed = await x.ws_futures_edit_order(**number, **change)
    drive.same("price", units(changed["price"]), units(lower))
    found = await x.ws_futures_get_order(**number)
    drive.fields(found, status="NEW", clientOrderId=order["clientOrderId"])
    drive.same("status", (await x.ws_futures_cancel_order(**number))["status"], "CANCELED")
    await run.settled(order, "CANCELED")
    await run.refused(-2011, x.ws_futures_cancel_order(**number))
    for side in ("BUY", "SELL"):
        whole = {"type": "MARKET", "side": side, "quantity": lots}
        order = await run.place(x.ws_futures_create_order, **whole)
        await run.settled(order, "FILLED")
    stop = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "quantity": lots}
    algo = await x.ws_futures_create_order(**stop, stopPrice=low)
    drive.ordered()
    drive.fields(algo, algoStatus="NEW", orderType="STOP_MARKET")
    await x.ws_futures_cancel_order(symbol=SYMBOL, algoId=algo["algoId"])
    await run.seen("its end", lambda: run.algos[algo["algoId"]]["X"] == "CANCELED")
    drive.step("queries over the trading WebSocket")
    book = await x.ws_futures_get_order_book(symbol=SYMBOL, limit=10)
    drive.check(units(book["bids"][0][0]) < units(book["asks"][0][0]), "the book is crossed")
    best = await x.ws_futures_get_order_book_ticker(symbol=SYMBOL)
    drive.check(units(best["bidPrice"]) > 0, "no best bid")
    last = await x.ws_futures_get_all_tickers(symbol=SYMBOL)
    drive.check(units(last["price"]) > 0, "no last price")
    wallet = drive.ledger().wallet
    for balances in (await x.ws_futures_account_balance(), await x.ws_futures_v2_account_balance()):
        usdt = next(b for b in balances if b["asset"] == "USDT")
        drive.same("balance", units(usdt["balance"]), wallet)
    for status in (await x.ws_futures_account_status(), await x.ws_futures_v2_account_status()):
        drive.same("wallet", units(status["totalWalletBalance"]), wallet)
    risk = await x.ws_futures_v2_account_position(symbol=SYMBOL)
    drive.check(all(units(p["positionAmt"]) == 0 for p in risk), "a position is left")
    drive.check(isinstance(await x.ws_futures_account_position(symbol=SYMBOL), list), "no list")


async def closing(run):
    """Flat, and every sum is the ledger's to the last unit."""
    drive, x = run.drive, run.x
    drive.step("the books")
    kept = drive.ledger()
    usdt = next(b for b in await x.futures_account_balance() if b["asset"] == "USDT")
    for part in ("balance", "crossWalletBalance", "availableBalance"):
        drive.same(part, units(usdt[part]), kept.wallet)
    account = await x.futures_account()
    drive.same("wallet", units(account["totalWalletBalance"]), kept.wallet)
    drive.same("unrealised", units(account["totalUnrealizedProfit"]), 0)
    await run.seen("the balance", lambda: run.wallet and units(run.wallet) == kept.wallet)
    own = await x.futures_account_trades(symbol=SYMBOL, limit=1000)
    drive.same("trades", sorted(t["id"] for t in own), kept.all_trade_ids)
    fees = sum(units(t["commission"]) for t in own)
    won = sum(units(t["realizedPnl"]) for t in own)
    drive.same("fees", fees, kept.fees)
    drive.same("realised", won, kept.realized)
    drive.same("sum", kept.deposit + won - fees + kept.funding, kept.wallet)
    sums = {}
    for entry in await x.futures_income_history(limit=1000):
        kind = entry["incomeType"]
        sums[kind] = sums.get(kind, 0) + units(entry["income"])
    drive.same("income: fees", sums["COMMISSION"], -fees)
    drive.same("income: realised", sums.get("REALIZED_PNL", 0), won)
    drive.same("income: funding", sums.get("FUNDING_FEE", 0), kept.funding)
    every = await x.futures_get_all_orders(symbol=SYMBOL, limit=1000)
    drive.same("orders", sorted(o["clientOrderId"] for o in every), kept.client_ids(SYMBOL))
    drive.step("keys of user streams")
    key = await x.futures_stream_get_listen_key()
    drive.same("the same key", await x.futures_stream_get_listen_key(), key)
    await x.futures_stream_keepalive(key)
    await x.futures_stream_close(key)
    await run.refused(-1125, x.futures_stream_keepalive(key))


async def accounts(run):
    """All of it."""
    await batches(run)
    await settings(run)
    await hedge(run)
    await isolated(run)
    await refusals(run)
    await by_socket(run)
    await closing(run)
