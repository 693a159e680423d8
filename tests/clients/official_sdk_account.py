"""Conditional orders, batches, account settings, refusals, the trading WebSocket, and the books."""

from binance_common.errors import BadRequestError
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    ModifyMultipleOrdersBatchOrdersParameterInner as Change,
)
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    PlaceMultipleOrdersBatchOrdersParameterInner as Asked,
)

from drive import NEAR, NEAR_SECONDS, TRIES, units
from official_sdk_run import SYMBOL, client, plain


async def conditionals(run):
    """Every kind rests, is found, is taken back; one triggers and becomes an order."""
    drive, ask = run.drive, run.ask
    bid, best = run.quote()
    lots = run.lots(bid, 600)
    drive.step("conditional orders of every kind")
    await run.settled(run.place(type="MARKET", side="BUY", quantity=lots), "FILLED")
    low, high = run.px(bid * 0.97), run.px(best * 1.03)
    whole, part = {"close_position": "true"}, {"quantity": lots, "reduce_only": "true"}
    asked = {
        "STOP_MARKET": whole | {"trigger_price": low},
        "TAKE_PROFIT_MARKET": whole | {"trigger_price": high, "working_type": "MARK_PRICE"},
        "STOP": part | {"trigger_price": low, "price": low, "time_in_force": "GTC"},
        "TAKE_PROFIT": part | {"trigger_price": high, "price": high, "time_in_force": "GTC"},
        "TRAILING_STOP_MARKET": part | {"callback_rate": 1.0, "activate_price": high},
    }
    numbers = []
    for kind, params in asked.items():
        algo = ask("new_algo_order", "CONDITIONAL", SYMBOL, "SELL", kind, **params)
        drive.ordered()
        drive.fields(algo, orderType=kind, algoStatus="NEW", algoType="CONDITIONAL")
        number = algo["algoId"]
        numbers.append(number)
        told = await run.seen(kind, lambda: run.algos.get(number))
        drive.fields(told, X="NEW", o=kind, caid=algo["clientAlgoId"])
    drive.step("conditional orders: found and taken back")
    held = ask("current_all_algo_open_orders", symbol=SYMBOL)
    drive.same("open", sorted(a["algoId"] for a in held), sorted(numbers))
    drive.same("found", ask("query_algo_order", algo_id=numbers[2])["orderType"], "STOP")
    gone = ask("cancel_algo_order", algo_id=numbers[2])
    drive.fields(gone, algoId=numbers[2], code="200", msg="success")
    ask("cancel_all_algo_open_orders", SYMBOL)
    await run.seen("the end of all", lambda: all(run.algos[n]["X"] == "CANCELED" for n in numbers))
    every = ask("query_all_algo_orders", SYMBOL)
    drive.check(set(numbers) <= {a["algoId"] for a in every}, "not among all orders")
    at_once = asked["STOP"] | {"trigger_price": high, "price": high}
    run.refused(-2021, "new_algo_order", "CONDITIONAL", SYMBOL, "SELL", "STOP", **at_once)
    old_way = {"type": "STOP_MARKET", "side": "SELL", "quantity": lots}
    run.refused(-4120, "new_order", SYMBOL, **old_way)
    await triggered(run)
    run.fits()


async def triggered(run):
    """A stop near the price becomes a market order, and the ledger has its fills."""
    drive, ask = run.drive, run.ask
    drive.step("a stop triggers")
    stop = {"algo_type": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
    for _ in range(TRIES):
        near = run.px(run.quote()[0] * (1 - NEAR))
        try:
            algo = ask("new_algo_order", **stop, trigger_price=near, close_position="true")
            drive.ordered()
            number = algo["algoId"]
            gone = lambda: run.algos.get(number, {}).get("X") not in (None, "NEW")
            if await drive.look_out(gone, NEAR_SECONDS):
                break
            ask("cancel_algo_order", algo_id=number)
        except BadRequestError as error:
            drive.check(error.status_code in (-2011, -2021), error)
    ended = await run.seen(
        "the stop's end",
        lambda: (a := run.algos.get(number)) and a["X"] == "FINISHED" and a,
    )
    order = ask("query_order", SYMBOL, order_id=int(ended["ai"]))
    drive.fields(order, origType="STOP_MARKET", closePosition=True)
    await run.settled(order, "FILLED")
    drive.same("position", drive.ledger().position_qty(SYMBOL), 0)


async def batches(run):
    """Several orders at a time, all at once, and by the dead man's switch."""
    drive, ask = run.drive, run.ask
    bid, _ = run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("batch: placed, changed, cancelled")
    names = [run.name() for _ in range(3)]
    prices = (low, run.px(bid * 0.01), low)
    fixed = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
    wanted = [
        Asked(**fixed, quantity=lots, price=px, new_client_order_id=name)
        for px, name in zip(prices, names)
    ]
    answers = ask("place_multiple_orders", wanted)
    drive.same("names", [a.get("clientOrderId") for a in answers], [names[0], None, names[2]])
    drive.check(answers[1]["code"] < 0, "no reason for the refusal")
    drive.ordered(2)
    placed = [answers[0], answers[2]]
    lower = run.px(bid * 0.96)
    changes = [
        Change(order_id=a["orderId"], symbol=SYMBOL, side="BUY", quantity=lots, price=lower)
        for a in placed
    ]
    changed = ask("modify_multiple_orders", changes)
    drive.same("prices", [units(c["price"]) for c in changed], [units(lower)] * 2)
    numbers = [a["orderId"] for a in placed]
    gone = ask("cancel_multiple_orders", SYMBOL, order_id_list=numbers)
    drive.same("cancelled", [g["status"] for g in gone], ["CANCELED"] * 2)
    for order in placed:
        await run.settled(order, "CANCELED")
    drive.step("cancel all, countdown")
    buy = {"type": "LIMIT", "side": "BUY", "time_in_force": "GTC", "quantity": lots, "price": low}
    placed = [run.place(**buy) for _ in range(2)]
    drive.same("code", ask("cancel_all_open_orders", SYMBOL)["code"], 200)
    for order in placed:
        await run.settled(order, "CANCELED")
    placed = [run.place(**buy) for _ in range(2)]
    drive.same("symbol", ask("auto_cancel_all_open_orders", SYMBOL, 500)["symbol"], SYMBOL)
    for order in placed:
        await run.settled(order, "CANCELED")
    ask("auto_cancel_all_open_orders", SYMBOL, 0)


async def settings(run):
    """Leverage, hedge mode, isolated margin, and what is told of the account."""
    drive, ask = run.drive, run.ask
    drive.step("leverage, brackets, fees, modes, limits")
    drive.fields(ask("change_initial_leverage", SYMBOL, 7), leverage=7, symbol=SYMBOL)
    await run.seen("the leverage", lambda: any(c.get("ac", {}).get("l") == 7 for c in run.configs))
    drive.fields(ask("symbol_configuration", symbol=SYMBOL)[0], leverage=7, marginType="CROSSED")
    brackets = ask("notional_and_leverage_brackets", symbol=SYMBOL)
    drive.check(brackets, "no brackets")
    drive.same("fees of", ask("user_commission_rate", SYMBOL)["symbol"], SYMBOL)
    drive.same("trading", ask("futures_account_configuration")["canTrade"], True)
    drive.same("assets", ask("get_current_multi_assets_mode")["multiAssetsMargin"], False)
    drive.check(len(ask("query_user_rate_limit")) > 0, "no limits of orders")
    drive.check(isinstance(ask("users_force_orders"), list), "no list of liquidations")
    drive.step("hedge mode")
    lots = run.lots(run.quote()[0], 300)
    ask("change_position_mode", "true")
    drive.same("hedge", ask("get_current_position_mode")["dualSidePosition"], True)
    both = {"type": "MARKET", "quantity": lots}
    run.refused(-4061, "new_order", SYMBOL, side="BUY", **both)
    for side, kind in (("BUY", "LONG"), ("SELL", "SHORT"), ("SELL", "LONG"), ("BUY", "SHORT")):
        order = run.place(side=side, position_side=kind, **both)
        await run.settled(order, "FILLED")
        kept = drive.ledger().position_qty(SYMBOL, kind)
        await run.seen(f"the {kind} position", lambda: run.held(kind) == kept)
    ask("change_position_mode", "false")
    run.refused(-4059, "change_position_mode", "false")
    drive.step("isolated margin")
    ask("change_margin_type", SYMBOL, "ISOLATED")
    run.refused(-4046, "change_margin_type", SYMBOL, "ISOLATED")
    await run.settled(run.place(side="BUY", **both), "FILLED")
    before = ask("position_information_v3", symbol=SYMBOL)[0]
    drive.same("added", ask("modify_isolated_position_margin", SYMBOL, 10, 1)["code"], 200)
    after = ask("position_information_v3", symbol=SYMBOL)[0]
    own = units(after["isolatedWallet"]) - units(before["isolatedWallet"])
    drive.same("own margin", own, units(10))
    moves = ask("get_position_margin_change_history", SYMBOL)
    drive.check(any(units(m["amount"]) == units(10) for m in moves), "the change is not told")
    await run.settled(run.place(side="SELL", reduce_only="true", **both), "FILLED")
    ask("change_margin_type", SYMBOL, "CROSSED")
    run.fits()


async def refusals(run):
    """What is wrong is refused with the venue's number."""
    drive, ask = run.drive, run.ask
    bid, _ = run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("refusals")
    buy = {"type": "LIMIT", "side": "BUY", "time_in_force": "GTC", "quantity": lots, "price": low}
    ask("change_initial_leverage", SYMBOL, 1)
    free = units(ask("account_information_v3")["availableBalance"]) / 1e8
    large = min(run.lots(bid, free * 1.2), float(run.filters["LOT_SIZE"]["maxQty"]))
    run.refused(-2019, "new_order", SYMBOL, **buy | {"quantity": large})
    ask("change_initial_leverage", SYMBOL, 20)
    order = run.place(**buy)
    name = {"new_client_order_id": order["clientOrderId"]}
    run.refused(-4116, "new_order", SYMBOL, **buy, **name)
    ask("cancel_order", SYMBOL, order_id=order["orderId"])
    await run.settled(order, "CANCELED")
    run.refused(-2011, "cancel_order", SYMBOL, order_id=order["orderId"])
    run.refused(-2013, "query_order", SYMBOL, order_id=999_999_999_999)
    run.refused(-4164, "new_order", SYMBOL, **buy | {"price": run.px(bid * 0.01)})
    run.refused(-1111, "new_order", SYMBOL, **buy | {"price": low + 0.0001})
    run.refused(-1121, "new_order", "NOPEUSDT", **buy)
    for changes, code in (
        ({"api_secret": "wrong"}, -1022),
        ({"api_key": "K" * 64}, -2015),
        ({"api_key": "no key"}, -2014),
    ):
        kept, run.rest = run.rest, client(drive, **changes).rest_api
        run.refused(code, "current_all_open_orders", symbol=SYMBOL)
        run.rest = kept


async def by_socket(run):
    """Orders and queries over the trading WebSocket."""
    drive, x = run.drive, run.sdk.websocket_api
    bid, _ = run.quote()
    low, lots = run.px(bid * 0.97), run.lots(bid)
    drive.step("orders over the trading WebSocket")
    await x.create_connection()

    async def ask(what, *args, **params):
        answer = await getattr(x, what)(*args, **params)
        drive.check(answer.rate_limits, f"{what}: no rate limits")
        told = plain(answer.data())
        drive.check("error" not in told, f"{what}: {told}")
        drive.same("status", told["status"], 200)
        return told["result"]

    try:
        buy = {"time_in_force": "GTC", "quantity": lots, "price": low}
        buy["new_client_order_id"] = run.name()
        order = await ask("new_order", SYMBOL, "BUY", "LIMIT", **buy)
        drive.ordered()
        number = {"order_id": order["orderId"]}
        lower = run.px(bid * 0.965)
        changed = await ask("modify_order", SYMBOL, "BUY", lots, lower, **number)
        drive.same("price", units(changed["price"]), units(lower))
        drive.same("status", (await ask("query_order", SYMBOL, **number))["status"], "NEW")
        gone = await ask("cancel_order", SYMBOL, **number)
        drive.same("status", gone["status"], "CANCELED")
        await run.settled(order, "CANCELED")
        for side in ("BUY", "SELL"):
            name = {"new_client_order_id": run.name()}
            order = await ask("new_order", SYMBOL, side, "MARKET", quantity=lots, **name)
            drive.ordered()
            await run.settled(order, "FILLED")
        stop = {"quantity": lots, "trigger_price": low}
        algo = await ask("new_algo_order", "CONDITIONAL", SYMBOL, "SELL", "STOP_MARKET", **stop)
        drive.ordered()
        drive.same("gone", (await ask("cancel_algo_order", algo_id=algo["algoId"]))["code"], "200")
        drive.step("queries over the trading WebSocket")
        await ask("order_book", SYMBOL, limit=5)
        await ask("symbol_order_book_ticker", symbol=SYMBOL)
        await ask("symbol_price_ticker", symbol=SYMBOL)
        wallet = drive.ledger().wallet
        for what in ("futures_account_balance", "futures_account_balance_v2"):
            usdt = next(b for b in await ask(what) if b["asset"] == "USDT")
            drive.same(what, units(usdt["balance"]), wallet)
        for what in ("account_information", "account_information_v2"):
            drive.same(what, units((await ask(what))["totalWalletBalance"]), wallet)
        await ask("position_information", symbol=SYMBOL)
        await ask("position_information_v2", symbol=SYMBOL)
        run.fits()
        unknown = plain((await x.cancel_order(SYMBOL, **number)).data())
        drive.same("code", unknown["error"]["code"], -2011)
        run.misfits.lines.clear()
    finally:
        await x.close_connection(close_session=True)


async def closing(run):
    """Flat, and every sum is the ledger's to the last unit."""
    drive, ask = run.drive, run.ask
    drive.step("the books")
    kept = drive.ledger()
    for what in ("futures_account_balance_v2", "futures_account_balance_v3"):
        usdt = next(b for b in ask(what) if b["asset"] == "USDT")
        drive.same(what, units(usdt["balance"]), kept.wallet)
    for what in ("account_information_v2", "account_information_v3"):
        told = ask(what)
        drive.same(what, units(told["totalWalletBalance"]), kept.wallet)
        drive.same("available", units(told["availableBalance"]), kept.wallet)
    await run.seen("the balance", lambda: run.wallet and units(run.wallet) == kept.wallet)
    own = ask("account_trade_list", SYMBOL, limit=1000)
    drive.same("trades", sorted(t["id"] for t in own), kept.all_trade_ids)
    fees = sum(units(t["commission"]) for t in own)
    won = sum(units(t["realizedPnl"]) for t in own)
    drive.same("fees", fees, kept.fees)
    drive.same("realised", won, kept.realized)
    drive.same("sum", kept.deposit + won - fees + kept.funding, kept.wallet)
    sums = {}
    for entry in ask("get_income_history", limit=1000):
        sums[entry["incomeType"]] = sums.get(entry["incomeType"], 0) + units(entry["income"])
    drive.same("income: fees", sums["COMMISSION"], -fees)
    drive.same("income: realised", sums.get("REALIZED_PNL", 0), won)
    every = ask("all_orders", symbol=SYMBOL, limit=1000)
    drive.same("orders", sorted(o["clientOrderId"] for o in every), kept.client_ids(SYMBOL))
    ask("close_user_data_stream")
    run.fits()


async def accounts(run):
    """All of it."""
    await conditionals(run)
    await batches(run)
    await settings(run)
    await refusals(run)
    await by_socket(run)
    await closing(run)
