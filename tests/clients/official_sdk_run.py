"""An account of the simulated exchange behind the venue's own unmodified SDK.

Settings changed: addresses, and the time a request may take. The SDK parses every answer and event
into strictly typed models and logs where one does not fit: each such line is a failure here.
"""

import logging

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)

from drive import on_grid, units

SYMBOL = "BTCUSDT"


class Misfits(logging.Handler):
    """Keeps what the SDK complains of."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        """Keeps one line."""
        self.lines.append(record.getMessage())


def client(drive, **changes):
    """A client of the exchange."""
    keys = {"api_key": drive.key, "api_secret": drive.secret} | changes
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(base_path=drive.rest, timeout=30_000, **keys),
        config_ws_api=ConfigurationWebSocketAPI(stream_url=f"{drive.ws}/ws-fapi/v1", **keys),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=drive.ws),
    )


def plain(model):
    """A model, or a list of them, as the fields the SDK declares."""
    if isinstance(model, list):
        return [plain(item) for item in model]
    if (inner := getattr(model, "actual_instance", None)) is not None:
        return plain(inner)
    if hasattr(model, "model_dump"):
        return model.model_dump(by_alias=True, exclude_none=True)
    return model


class Run:
    """The part with an account."""

    def __init__(self, drive):
        self.drive, self.sdk = drive, client(drive)
        self.rest = self.sdk.rest_api
        self.misfits = Misfits()
        logging.getLogger().addHandler(self.misfits)
        self.orders, self.algos, self.trades, self.lites = {}, {}, {}, {}
        self.executions, self.positions, self.configs = set(), {}, []
        self.wallet, self.serial, self.fill_count = None, 0, 0

    def name(self):
        """A client order id of its own."""
        self.serial += 1
        return f"sdk-{self.serial}"

    def fits(self):
        """Fails where the SDK could not take an answer or event as declared."""
        self.drive.same("what does not fit the SDK's models", self.misfits.lines, [])

    def ask(self, what, *args, **params):
        """The answer to a REST request."""
        return plain(getattr(self.rest, what)(*args, **params).data())

    def refused(self, code, what, *args, **params):
        """The request must fail with the venue's number."""
        try:
            answer = getattr(self.rest, what)(*args, **params).data()
        except (BadRequestError, UnauthorizedError) as error:
            self.drive.same("code", error.status_code, code)
            self.drive.check(error.error_message, "no words")
            return
        self.drive.check(False, f"{code} was expected, the answer was {answer}")

    # The user stream

    async def follow(self):
        """Opens the streams and keeps what the user stream tells."""
        self.drive.step("user stream")
        key = self.ask("start_user_data_stream")["listenKey"]
        self.streams = self.sdk.websocket_streams
        await self.streams.create_connection()
        handle = await self.streams.user_data(key)
        handle.on("message", self.on_event)
        self.drive.same("the key kept", self.ask("keepalive_user_data_stream")["listenKey"], key)

    def on_event(self, told):
        """Takes an event in."""
        self.drive.counts["events"] += 1
        event = plain(told)
        # The models leave the event's name out: it is the class that tells.
        kind = type(told.actual_instance).__name__
        if kind == "OrderTradeUpdate":
            order = event["o"]
            self.orders[order["i"]] = order
            self.executions.add((order["i"], order["x"]))
            if order["x"] == "TRADE":
                self.trades[order["t"]] = order
        elif kind == "TradeLite":
            self.lites[event["t"]] = event
        elif kind == "AlgoUpdate":
            self.algos[event["o"]["aid"]] = event["o"]
        elif kind == "AccountUpdate":
            for balance in event["a"]["B"]:
                self.wallet = balance["wb"]
            for held in event["a"]["P"]:
                self.positions[held["s"], held["ps"]] = held
        elif kind == "AccountConfigUpdate":
            self.configs.append(event)

    async def seen(self, what, ready):
        """Waits for something on the user stream."""
        return await self.drive.wait(what, ready)

    def held(self, side="BOTH"):
        """Quantity of a position as the stream last told it, in units."""
        told = self.positions.get((SYMBOL, side))
        return None if told is None else units(told["pa"])

    # Prices and sizes

    def quote(self):
        """Best bid and ask."""
        book = self.ask("symbol_order_book_ticker", SYMBOL)
        return float(book["bidPrice"]), float(book["askPrice"])

    def px(self, value):
        """On the price grid."""
        return float(on_grid(value, self.filters["PRICE_FILTER"]["tickSize"]))

    def lots(self, px, value=150):
        """A quantity worth at least `value`."""
        return float(on_grid(value / px, self.filters["LOT_SIZE"]["stepSize"], up=True))

    # Orders

    def place(self, **params):
        """Places an order under a name of its own and looks at the answer."""
        params.setdefault("new_client_order_id", self.name())
        params.setdefault("symbol", SYMBOL)
        order = self.ask("new_order", **params)
        self.drive.ordered()
        wanted = {k: params[k] for k in ("symbol", "side", "type") if k in params}
        self.drive.fields(order, clientOrderId=params["new_client_order_id"], **wanted)
        return order

    async def settled(self, order, *states):
        """The order once the stream shows it in a state of these: query, stream, ledger agree."""
        number = order["orderId"]
        told = await self.seen(
            f"order {number} in {states}",
            lambda: (o := self.orders.get(number)) and o["X"] in states and o,
        )
        fetched = self.ask("query_order", SYMBOL, order_id=number)
        kept = self.drive.ledger().order(order["clientOrderId"])
        drive = self.drive
        drive.same("status by query and stream", fetched["status"], told["X"])
        drive.same("status in the ledger", kept.status, fetched["status"])
        pairs = {"side": "S", "type": "o", "timeInForce": "f", "positionSide": "ps"}
        pairs |= {"reduceOnly": "R"}
        drive.agree(fetched, told, pairs, {"origQty": "q", "executedQty": "z", "price": "p"})
        drive.same("filled", units(fetched["executedQty"]), kept.filled)
        drive.same("value filled", units(fetched["cumQuote"]), kept.quote)
        if kept.filled:
            await self.fills_agree(number, kept)
        self.fits()
        return fetched

    async def fills_agree(self, number, kept):
        """The trades of a filled order by query and stream are those of the ledger."""
        drive = self.drive
        own = self.ask("account_trade_list", SYMBOL, order_id=number)
        ids = [t["id"] for t in own]
        drive.same("ids of its trades", sorted(ids), kept.trade_ids)
        drive.same("its fees", sum(units(t["commission"]) for t in own), kept.fee)
        drive.same("its quantity", sum(units(t["qty"]) for t in own), kept.filled)
        both = (self.trades, self.lites)
        await self.seen("its trades", lambda: all(i in kind for i in ids for kind in both))
        for trade in own:
            told = self.trades[trade["id"]]
            pairs = {"maker": "m", "orderId": "i", "side": "S", "commissionAsset": "N"}
            amounts = {"price": "L", "qty": "l", "commission": "n", "realizedPnl": "rp"}
            drive.agree(trade, told, pairs, amounts)
        self.fill_count += len(own)
