"""An account of the simulated exchange behind unmodified ccxt.pro: streams, orders, agreement.

Settings changed: the hosts in `urls`, and `exceptions`: ccxt picks its table of futures errors by
the venue's host name.
"""

import asyncio
import json

import ccxt

from drive import on_grid, units

SYMBOL, ID = "BTC/USDT:USDT", "BTCUSDT"


def redirected(urls, drive):
    """The same nest of addresses at the exchange's hosts."""
    if isinstance(urls, dict):
        return {name: redirected(value, drive) for name, value in urls.items()}
    scheme, _, rest = urls.partition("://")
    path = rest.partition("/")[2]
    return f"{drive.ws if scheme == 'wss' else drive.rest}/{path}"


def client(kind, drive, **changes):
    """A client of the exchange."""
    plain = kind()
    futures = plain.exceptions["linear"]["exact"]
    settings = {
        "apiKey": drive.key,
        "secret": drive.secret,
        "urls": {"api": redirected(plain.urls["api"], drive)},
        "exceptions": {"exact": futures},
    }
    return kind(settings | changes)


def body_of(error):
    """The exchange's answer inside a ccxt error."""
    text = str(error)
    return json.loads(text[text.index("{") :])


class Run:
    """The part with an account, with the asynchronous client."""

    def __init__(self, drive, x):
        self.drive, self.x = drive, x
        self.orders, self.executions, self.trades, self.positions = {}, set(), {}, {}
        self.wallet, self.tasks, self.serial, self.fill_count = None, [], 0, 0

    def name(self):
        """A client order id of its own."""
        self.serial += 1
        return f"ccxt-{self.serial}"

    async def refused(self, code, kind, call):
        """The call must fail with the venue's number and ccxt's class for it."""
        try:
            answer = await call
        except ccxt.BaseError as error:
            body = body_of(error)
            self.drive.same("code", body["code"], code)
            self.drive.check(isinstance(error, kind), f"{code} became {type(error).__name__}")
            return body
        self.drive.check(False, f"{code} was expected, the answer was {answer}")

    # Streams

    async def follow(self):
        """Opens the user stream and keeps what it tells."""
        self.drive.step("user stream")

        async def each(watch, take):
            while True:
                for told in await watch() or []:
                    take(told)
                    self.drive.counts["events"] += 1

        async def balance():
            while True:
                told = await self.x.watch_balance()
                self.wallet = told["USDT"]["total"]
                self.drive.counts["events"] += 1

        def order(told):
            self.orders[told["id"]] = told
            self.executions.add((told["id"], told["info"].get("x")))

        def trade(told):
            self.trades[told["id"]] = told

        def position(told):
            self.positions[told["symbol"], told["info"].get("ps")] = told

        watches = [
            each(self.x.watch_orders, order),
            each(self.x.watch_my_trades, trade),
            each(self.x.watch_positions, position),
            balance(),
        ]
        self.tasks = [asyncio.create_task(watch) for watch in watches]

        def connected():
            self.broken()
            streams = [c for url, c in self.x.clients.items() if "listenKey" in url]
            return streams and all(c.connected.done() for c in streams)

        await self.drive.wait("the user stream", connected)

    def broken(self):
        """Brings an error of a stream to light."""
        for task in self.tasks:
            if task.done():
                task.result()

    async def seen(self, what, ready):
        """Waits for something on the user stream."""

        def look():
            self.broken()
            return ready()

        return await self.drive.wait(what, look)

    async def market_streams(self):
        """Every kind of market stream delivers."""
        x, drive = self.x, self.drive
        drive.step("stream of trades")
        trades = await x.watch_trades(SYMBOL)
        drive.check(trades[-1]["price"] > 0 and trades[-1]["symbol"] == SYMBOL, "a bad trade")
        drive.step("stream of the order book")
        nonce = 0
        for _ in range(20):
            book = await x.watch_order_book(SYMBOL, 100)
            drive.check(book["bids"][0][0] < book["asks"][0][0], "the book is crossed")
            drive.check(book["nonce"] >= nonce, "the book went back")
            nonce = book["nonce"]
        drive.step("streams of quotes, bars, prices and tickers")
        drive.check((await x.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 0, "no quote")
        bar = (await x.watch_ohlcv(SYMBOL, "1m"))[-1]
        drive.check(bar[2] >= bar[3] > 0, "a bad bar")
        drive.check((await x.watch_mark_price(SYMBOL))["markPrice"] > 0, "no mark price")
        drive.check((await x.watch_ticker(SYMBOL))["last"] > 0, "no ticker")
        drive.check(SYMBOL in await x.watch_tickers([SYMBOL]), "no mini ticker")
        drive.counts["events"] += 25

    def status(self, order):
        """An order's status as the stream last told it."""
        told = self.orders.get(order["id"])
        return told and told["info"]["X"]

    # Prices and sizes

    async def quote(self):
        """Best bid and ask."""
        book = await self.x.fetch_order_book(SYMBOL, 5)
        return book["bids"][0][0], book["asks"][0][0]

    def px(self, value):
        """On the price grid."""
        return float(on_grid(value, self.market["precision"]["price"]))

    def lots(self, px, value=150):
        """A quantity worth at least `value`."""
        return float(on_grid(value / px, self.market["precision"]["amount"], up=True))

    # Orders

    async def place(self, kind, side, amount, px=None, **params):
        """Places an order under a name of its own and looks at the answer."""
        name = params.setdefault("clientOrderId", self.name())
        order = await self.x.create_order(SYMBOL, kind, side, amount, px, params)
        self.drive.ordered()
        self.drive.fields(order, clientOrderId=name, symbol=SYMBOL, side=side)
        self.drive.check(order["id"] and order["id"].isdigit(), "no order id")
        return order

    async def settled(self, order, *states):
        """The order once the stream shows it in a state of these: query, stream, ledger agree."""
        told = await self.seen(
            f"order {order['id']} in {states}",
            lambda: (o := self.orders.get(order["id"])) and o["info"]["X"] in states and o,
        )
        fetched = await self.x.fetch_order(order["id"], SYMBOL)
        kept = self.drive.ledger().order(order["clientOrderId"])
        drive, info = self.drive, fetched["info"]
        drive.same("status by REST and stream", info["status"], told["info"]["X"])
        drive.same("status in the ledger", kept.status, info["status"])
        drive.same("filled by REST", units(info["executedQty"]), kept.filled)
        drive.same("filled by the stream", units(told["info"]["z"]), kept.filled)
        drive.same("quantity", units(info["origQty"]), kept.qty)
        drive.same("value filled", units(info["cumQuote"]), kept.quote)
        drive.same("client order id", fetched["clientOrderId"], order["clientOrderId"])
        if kept.filled:
            await self.fills_agree(fetched, kept)
        return fetched

    async def fills_agree(self, order, kept):
        """The trades of a filled order by REST and stream are those of the ledger."""
        drive = self.drive
        own = await self.x.fetch_my_trades(SYMBOL, limit=1000, params={"orderId": order["id"]})
        drive.same("ids of its trades", sorted(int(t["id"]) for t in own), kept.trade_ids)
        drive.same("its fees", sum(units(t["fee"]["cost"]) for t in own), kept.fee)
        drive.same("its quantity", sum(units(t["amount"]) for t in own), kept.filled)
        await self.seen("its trades", lambda: all(t["id"] in self.trades for t in own))
        for trade in own:
            told = self.trades[trade["id"]]
            for part in ("price", "amount", "side", "takerOrMaker", "order"):
                drive.same(f"{part} of a trade by the stream", told[part], trade[part])
            drive.same("fee by the stream", told["fee"]["cost"], trade["fee"]["cost"])
        self.fill_count += len(own)

    def position_told(self, side):
        """Quantity of a position as the stream last told it."""
        told = self.positions.get((SYMBOL, side))
        return told and told["contracts"]
