"""An account of the simulated exchange behind unmodified python-binance: streams and orders.

Settings changed: class attributes that hold addresses.
"""

import asyncio

from binance import AsyncClient, BinanceSocketManager, Client
from binance.exceptions import BinanceAPIException

from drive import on_grid, units

SYMBOL = "BTCUSDT"


def redirect(drive):
    """Points both clients and the streams at the exchange."""
    for kind in (Client, AsyncClient):
        kind.API_URL = f"{drive.rest}/api"
        kind.FUTURES_URL = f"{drive.rest}/fapi"
        kind.FUTURES_DATA_URL = f"{drive.rest}/futures/data"
        kind.WS_FUTURES_URL = f"{drive.ws}/ws-fapi/v1"
    BinanceSocketManager.FSTREAM_URL = f"{drive.ws}/"


def filters_of(info, symbol=SYMBOL):
    """A contract's filters by type."""
    contract = next(s for s in info["symbols"] if s["symbol"] == symbol)
    return {f["filterType"]: f for f in contract["filters"]}


class Run:
    """The part with an account, with the asynchronous client."""

    def __init__(self, drive, x):
        self.drive, self.x = drive, x
        self.sockets = BinanceSocketManager(x, max_queue_size=100_000)
        self.orders, self.algos, self.trades, self.lites = {}, {}, {}, {}
        self.executions, self.positions, self.configs = set(), {}, []
        self.wallet, self.task, self.serial, self.fill_count = None, None, 0, 0

    def name(self):
        """A client order id of its own."""
        self.serial += 1
        return f"python-binance-{self.serial}"

    async def refused(self, code, call):
        """The call must fail with the venue's number."""
        try:
            answer = await call
        except BinanceAPIException as error:
            self.drive.same("code", error.code, code)
            self.drive.check(error.message, "no words")
            return error
        self.drive.check(False, f"{code} was expected, the answer was {answer}")

    # The user stream

    async def follow(self):
        """Opens the user stream and keeps what it tells."""
        self.drive.step("user stream")
        self.user = self.sockets.futures_user_socket()
        await self.user.connect()
        self.task = asyncio.create_task(self.keep())

    async def keep(self):
        """Takes every event in."""
        while True:
            event = await self.user.recv()
            self.drive.counts["events"] += 1
            kind = event["e"]
            if kind == "ORDER_TRADE_UPDATE":
                self.on_order(event)
            elif kind == "TRADE_LITE":
                self.lites[event["t"]] = event
            elif kind == "ALGO_UPDATE":
                self.algos[event["o"]["aid"]] = event["o"]
            elif kind == "ACCOUNT_UPDATE":
                for balance in event["a"]["B"]:
                    self.drive.same("asset", balance["a"], "USDT")
                    self.wallet = balance["wb"]
                for held in event["a"]["P"]:
                    self.positions[held["s"], held["ps"]] = held
            elif kind == "ACCOUNT_CONFIG_UPDATE":
                self.configs.append(event)
            else:
                self.drive.check(kind == "MARGIN_CALL", f"an unknown event {event}")

    def on_order(self, event):
        """An order changed."""
        order = event["o"]
        self.drive.check(event["E"] >= event["T"], "sent before it happened")
        self.orders[order["i"]] = order
        self.executions.add((order["i"], order["x"]))
        if order["x"] == "TRADE":
            self.trades[order["t"]] = order

    async def seen(self, what, ready):
        """Waits for something on the user stream."""

        def look():
            if self.task.done():
                self.task.result()
            return ready()

        return await self.drive.wait(what, look)

    def held(self, side="BOTH"):
        """Quantity of a position as the stream last told it, in units."""
        told = self.positions.get((SYMBOL, side))
        return None if told is None else units(told["pa"])

    # Prices and sizes

    async def quote(self):
        """Best bid and ask."""
        book = await self.x.futures_orderbook_ticker(symbol=SYMBOL)
        return float(book["bidPrice"]), float(book["askPrice"])

    def px(self, value):
        """On the price grid, as text."""
        return on_grid(value, self.filters["PRICE_FILTER"]["tickSize"])

    def lots(self, px, value=150):
        """A quantity worth at least `value`, as text."""
        return on_grid(value / px, self.filters["LOT_SIZE"]["stepSize"], up=True)

    # Orders

    async def place(self, send=None, **params):
        """Places an order under a name of its own and looks at the answer."""
        name = params.setdefault("newClientOrderId", self.name())
        params.setdefault("symbol", SYMBOL)
        order = await (send or self.x.futures_create_order)(**params)
        self.drive.ordered()
        wanted = {k: params[k] for k in ("symbol", "side", "type", "timeInForce") if k in params}
        self.drive.fields(order, clientOrderId=name, **wanted)
        self.drive.check(isinstance(order["orderId"], int), "the order id is no integer")
        self.drive.check(isinstance(order["reduceOnly"], bool), "reduceOnly is no boolean")
        return order

    async def settled(self, order, *states):
        """The order once the stream shows it in a state of these: query, stream, ledger agree."""
        number = order["orderId"]
        told = await self.seen(
            f"order {number} in {states}",
            lambda: (o := self.orders.get(number)) and o["X"] in states and o,
        )
        fetched = await self.x.futures_get_order(symbol=SYMBOL, orderId=number)
        kept = self.drive.ledger().order(order["clientOrderId"])
        drive = self.drive
        drive.same("status by query and stream", fetched["status"], told["X"])
        drive.same("status in the ledger", kept.status, fetched["status"])
        pairs = {"side": "S", "type": "o", "timeInForce": "f", "positionSide": "ps"}
        pairs |= {"clientOrderId": "c", "reduceOnly": "R"}
        drive.agree(fetched, told, pairs, {"origQty": "q", "executedQty": "z", "price": "p"})
        drive.same("filled", units(fetched["executedQty"]), kept.filled)
        drive.same("quantity", units(fetched["origQty"]), kept.qty)
        drive.same("value filled", units(fetched["cumQuote"]), kept.quote)
        if kept.filled:
            await self.fills_agree(fetched, kept)
        return fetched

    async def fills_agree(self, order, kept):
        """The trades of a filled order by query and stream are those of the ledger."""
        drive, number = self.drive, order["orderId"]
        own = await self.x.futures_account_trades(symbol=SYMBOL, orderId=number)
        drive.same("ids of its trades", sorted(t["id"] for t in own), kept.trade_ids)
        drive.same("its fees", sum(units(t["commission"]) for t in own), kept.fee)
        drive.same("its value", sum(units(t["quoteQty"]) for t in own), kept.quote)
        drive.same("its quantity", sum(units(t["qty"]) for t in own), kept.filled)
        ids = [t["id"] for t in own]
        both = (self.trades, self.lites)
        await self.seen("its trades", lambda: all(i in kind for i in ids for kind in both))
        for trade in own:
            told, lite = self.trades[trade["id"]], self.lites[trade["id"]]
            pairs = {"maker": "m", "orderId": "i", "side": "S", "commissionAsset": "N"}
            amounts = {"price": "L", "qty": "l", "commission": "n", "realizedPnl": "rp"}
            drive.agree(trade, told, pairs, amounts)
            for letter in ("L", "l", "m", "i", "S", "c"):
                drive.same(f"{letter} in few words", lite[letter], told[letter])
        self.fill_count += len(own)
