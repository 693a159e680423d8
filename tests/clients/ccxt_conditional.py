"""Conditional orders by ccxt: they wait at the algo service, and become orders when triggered."""

import ccxt

from ccxt_run import ID, SYMBOL
from drive import NEAR, NEAR_SECONDS, TRIES, units


async def waiting(run):
    """Every kind rests, is found by both names, and is taken back."""
    drive, x = run.drive, run.x
    bid, ask = await run.quote()
    lots = run.lots(bid, 600)
    drive.step("a position to protect")
    await run.settled(await run.place("market", "buy", lots), "FILLED")
    low, high = run.px(bid * 0.97), run.px(ask * 1.03)
    drive.step("conditional orders of every kind")
    whole = {"closePosition": True}
    asked = {
        "STOP_MARKET": ("market", None, {"stopLossPrice": low} | whole),
        "TAKE_PROFIT_MARKET": ("market", None, {"takeProfitPrice": high} | whole),
        "STOP": ("limit", low, {"stopLossPrice": low, "reduceOnly": True}),
        "TAKE_PROFIT": ("limit", high, {"takeProfitPrice": high, "reduceOnly": True}),
        "TRAILING_STOP_MARKET": (
            "market",
            None,
            {"trailingPercent": 1, "trailingTriggerPrice": high, "reduceOnly": True},
        ),
    }
    placed = {}
    for kind, (form, px, params) in asked.items():
        order = await run.place(form, "sell", lots, px, **params)
        info = order["info"]
        drive.fields(info, orderType=kind, algoStatus="NEW", algoType="CONDITIONAL")
        drive.same("closePosition", info["closePosition"], "closePosition" in params)
        placed[kind] = order
        told = await run.seen(kind, lambda: run.orders.get(order["id"]))
        drive.fields(told["info"], X="NEW", o=kind, caid=order["clientOrderId"])
    drive.same("trigger", placed["STOP_MARKET"]["triggerPrice"], low)
    drive.same("limit", placed["TAKE_PROFIT"]["price"], high)
    drive.step("conditional orders: found and taken back")
    held = await x.fetch_open_orders(SYMBOL, params={"trigger": True})
    drive.same("open", sorted(o["id"] for o in held), sorted(o["id"] for o in placed.values()))
    drive.same("in the book", await x.fetch_open_orders(SYMBOL), [])
    one = placed["STOP"]
    found = await x.fetch_order(one["id"], SYMBOL, {"trigger": True})
    drive.same("client id", found["clientOrderId"], one["clientOrderId"])
    by_name = {"trigger": True, "clientAlgoId": one["clientOrderId"]}
    drive.same("by name", (await x.fetch_order(None, SYMBOL, by_name))["id"], one["id"])
    await x.cancel_order(one["id"], SYMBOL, {"trigger": True})
    await run.seen("its end", lambda: run.orders[one["id"]]["info"]["X"] == "CANCELED")
    await x.cancel_all_orders(SYMBOL, {"trigger": True})
    await run.seen(
        "the end of all",
        lambda: all(run.orders[o["id"]]["info"]["X"] == "CANCELED" for o in placed.values()),
    )
    drive.same("left", await x.fetch_open_orders(SYMBOL, params={"trigger": True}), [])
    drive.step("conditional orders: refusals")
    at_once = run.place("market", "sell", lots, stopLossPrice=high, reduceOnly=True)
    await run.refused(-2021, ccxt.OrderImmediatelyFillable, at_once)
    raw = {"symbol": ID, "side": "SELL", "type": "STOP_MARKET", "quantity": lots}
    old_way = x.fapiPrivatePostOrder(raw | {"stopPrice": low})
    await run.refused(-4120, ccxt.InvalidOrder, old_way)


async def triggered(run):
    """A stop near the price becomes a market order, and the ledger has its fills."""
    drive, x = run.drive, run.x
    drive.step("a stop triggers")
    for _ in range(TRIES):
        bid, _ = await run.quote()
        near = {"stopLossPrice": run.px(bid * (1 - NEAR)), "closePosition": True}
        try:
            stop = await run.place("market", "sell", 0, **near)
            if await drive.look_out(lambda: run.status(stop) not in (None, "NEW"), NEAR_SECONDS):
                break
            await x.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        except (ccxt.OrderImmediatelyFillable, ccxt.OrderNotFound):
            continue
    ended = await run.seen(
        "the stop's end",
        lambda: (o := run.orders.get(stop["id"])) and o["info"]["X"] == "FINISHED" and o["info"],
    )
    drive.check(ended["ai"], "no number of the order it became")
    algo = await x.fapiPrivateGetAlgoOrder({"algoId": stop["id"]})
    drive.fields(algo, algoStatus="FINISHED", actualOrderId=str(ended["ai"]))
    became = await x.fetch_order(ended["ai"], SYMBOL)
    await run.settled(became, "FILLED")
    drive.fields(became["info"], origType="STOP_MARKET", closePosition=True)
    kept = drive.ledger()
    drive.same("position", kept.position_qty(ID), 0)
    drive.same("filled", units(ended["aq"]), kept.order(became["clientOrderId"]).filled)


async def conditionals(run):
    """All of it."""
    await waiting(run)
    await triggered(run)
