"""Conditional orders by python-binance: it sends them to the algo service by itself."""

from binance.exceptions import BinanceAPIException

from drive import NEAR, NEAR_SECONDS, TRIES, units
from python_binance_run import SYMBOL


async def waiting(run):
    """Every kind rests, is found by both names, and is taken back."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    lots = run.lots(bid, 600)
    drive.step("a position to protect")
    await run.settled(await run.place(type="MARKET", side="BUY", quantity=lots), "FILLED")
    low, high = run.px(bid * 0.97), run.px(ask * 1.03)
    drive.step("conditional orders of every kind")
    whole, part = {"closePosition": "true"}, {"quantity": lots, "reduceOnly": "true"}
    asked = {
        "STOP_MARKET": whole | {"stopPrice": low},
        "TAKE_PROFIT_MARKET": whole | {"stopPrice": high, "workingType": "MARK_PRICE"},
        "STOP": part | {"stopPrice": low, "price": low, "timeInForce": "GTC"},
        "TAKE_PROFIT": part | {"stopPrice": high, "price": high, "timeInForce": "GTC"},
        "TRAILING_STOP_MARKET": part | {"callbackRate": "1", "activatePrice": high},
    }
    placed = {}
    for kind, params in asked.items():
        algo = await x.futures_create_order(symbol=SYMBOL, side="SELL", type=kind, **params)
        drive.ordered()
        drive.fields(algo, orderType=kind, algoStatus="NEW", algoType="CONDITIONAL", side="SELL")
        drive.same("whole position", algo["closePosition"], "closePosition" in params)
        drive.same("reduceOnly", algo["reduceOnly"], "reduceOnly" in params)
        drive.same("working type", algo["workingType"], params.get("workingType", "CONTRACT_PRICE"))
        placed[kind] = algo
        told = await run.seen(kind, lambda: run.algos.get(algo["algoId"]))
        drive.fields(told, X="NEW", o=kind, caid=algo["clientAlgoId"], at="CONDITIONAL")
        drive.same("trigger by the stream", units(told["tp"]), units(algo["triggerPrice"]))
    drive.same("trigger", units(placed["STOP"]["triggerPrice"]), units(low))
    drive.same("limit", units(placed["TAKE_PROFIT"]["price"]), units(high))
    drive.step("conditional orders: found and taken back")
    numbers = sorted(a["algoId"] for a in placed.values())
    held = await x.futures_get_open_orders(symbol=SYMBOL, conditional=True)
    drive.same("open", sorted(a["algoId"] for a in held), numbers)
    drive.same("in the book", await x.futures_get_open_orders(symbol=SYMBOL), [])
    one = placed["STOP"]
    found = await x.futures_get_order(symbol=SYMBOL, algoId=one["algoId"])
    drive.fields(found, clientAlgoId=one["clientAlgoId"], algoStatus="NEW")
    by_name = await x.futures_get_order(symbol=SYMBOL, clientAlgoId=one["clientAlgoId"])
    drive.same("by name", by_name["algoId"], one["algoId"])
    gone = await x.futures_cancel_order(symbol=SYMBOL, algoId=one["algoId"])
    drive.fields(gone, algoId=one["algoId"], code="200", msg="success")
    await run.seen("its end", lambda: run.algos[one["algoId"]]["X"] == "CANCELED")
    await x.futures_cancel_all_open_orders(symbol=SYMBOL, conditional=True)
    await run.seen("the end of all", lambda: all(run.algos[n]["X"] == "CANCELED" for n in numbers))
    drive.same("left", await x.futures_get_open_orders(symbol=SYMBOL, conditional=True), [])
    every = await x.futures_get_all_orders(symbol=SYMBOL, conditional=True)
    drive.check(set(numbers) <= {a["algoId"] for a in every}, "not among all orders")
    await refused(run, lots, high)


async def refused(run, lots, high):
    """What is wrong about conditional orders."""
    drive, x = run.drive, run.x
    drive.step("conditional orders: refusals")
    stop = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET"}
    at_once = stop | {"quantity": lots, "stopPrice": high}
    await run.refused(-2021, x.futures_create_order(**at_once))
    below = stop | {"quantity": lots, "stopPrice": run.px(float(high) * 0.9)}
    both = below | {"closePosition": "true"}
    await run.refused(-4137, x.futures_create_order(**both))
    await run.refused(-4120, x.futures_create_test_order(**below))


async def triggered(run):
    """A stop near the price becomes a market order, and the ledger has its fills."""
    drive, x = run.drive, run.x
    drive.step("a stop triggers")
    stop = {"symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "closePosition": "true"}
    for _ in range(TRIES):
        bid, _ = await run.quote()
        try:
            near = run.px(bid * (1 - NEAR))
            number = (await x.futures_create_order(**stop, stopPrice=near))["algoId"]
            drive.ordered()
            gone = lambda: run.algos.get(number, {}).get("X") not in (None, "NEW")
            if await drive.look_out(gone, NEAR_SECONDS):
                break
            await x.futures_cancel_algo_order(algoId=number)
        except BinanceAPIException as error:
            drive.check(error.code in (-2011, -2021), error)
    ended = await run.seen(
        "the stop's end",
        lambda: (a := run.algos.get(number)) and a["X"] == "FINISHED" and a,
    )
    found = await x.futures_get_algo_order(algoId=number)
    drive.fields(found, algoStatus="FINISHED", actualOrderId=ended["ai"])
    order = await x.futures_get_order(symbol=SYMBOL, orderId=int(ended["ai"]))
    drive.fields(order, origType="STOP_MARKET", closePosition=True, type="MARKET")
    await run.settled(order, "FILLED")
    kept = drive.ledger()
    drive.same("position", kept.position_qty(SYMBOL), 0)
    drive.same("filled", units(ended["aq"]), kept.order(order["clientOrderId"]).filled)


async def conditionals(run):
    """All of it."""
    await waiting(run)
    await triggered(run)
