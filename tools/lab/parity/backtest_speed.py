"""Peregrine, hftbacktest and nautilus_trader over the same recorded market, in one run.

    pip install hftbacktest nautilus_trader
    python tools/lab/parity/backtest_speed.py --data btcusdt.gz --peregrine target/release/peregrine

On a machine that does other work, put `chrt -f 50` in front. What is missing is said and skipped.
Rounds are interleaved, everything runs on one core, and they do not do the same work:

    peregrine, frames   unpack, read and decode JSON, book, features, model, risk, fills, journal
    peregrine, journal  the same from binary records: no JSON
    hftbacktest         numpy arrays in memory, made before: book, queue, latency, fills; a strategy
                        compiled by numba that takes back and places both sides every 100 ms
    nautilus_trader     quote and trade objects in memory, made before: risk, cache, fills; a Python
                        strategy with a market order every 100 quotes

Events are counted twice: as each program counts them, and as updates: every level of a depth change,
every trade and every best quote is one, whoever processes it.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def lines(path):
    opened = gzip.open(path, "rb") if open(path, "rb").read(2) == b"\x1f\x8b" else open(path, "rb")
    with opened as file:
        for line in file:
            stamp, _, text = line.partition(b" ")
            yield int(stamp), text


def counted(path):
    """Updates of the market: levels of changes, trades, best quotes."""
    found = {"levels": 0, "trades": 0, "quotes": 0}
    for _, text in lines(path):
        frame = json.loads(text)
        stream, data = frame.get("stream", ""), frame.get("data", frame)
        if "depth" in stream:
            found["levels"] += len(data["b"]) + len(data["a"])
        elif "trade" in stream.lower():
            found["trades"] += 1
        elif "bookTicker" in stream:
            found["quotes"] += 1
        elif "bids" in data:
            found["levels"] += len(data["bids"]) + len(data["asks"])
    return found


def peregrine(program, config, data, journal):
    """Seconds and events of one backtest; the process says both itself. With --json it would count
    and sum the market beside, which costs more than the backtest."""
    command = [program, "backtest", "--config", config, "--data", data, "--journal", journal]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"peregrine: {done.stderr.strip()}")
    pairs = (line.split(maxsplit=1) for line in done.stdout.splitlines())
    told = dict(pair for pair in pairs if len(pair) == 2)
    return int(told["events"]) / float(told["events/s"]), int(told["events"])


def hftbacktest_run(data):
    """A function that runs once, or None."""
    try:
        import numpy as np
        from hftbacktest import (
            GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest, NONE,
        )
        from hftbacktest.data.utils import binancefutures
        from numba import njit
    except ImportError as error:
        print(f"hftbacktest: skipped, {error}")
        return None
    plain = tempfile.NamedTemporaryFile(suffix=".gz", delete=False)
    with gzip.open(plain.name, "wb", 1) as file:
        file.writelines(
            str(stamp).encode() + b" " + text for stamp, text in lines(data)
        )
    events = binancefutures.convert(plain.name, opt="t", combined_stream=True)
    os.unlink(plain.name)

    @njit
    def quote(hbt, step, qty):
        steps = 0
        while hbt.elapse(step) == 0:
            hbt.clear_inactive_orders(0)
            depth = hbt.depth(0)
            orders = hbt.orders(0)
            values = orders.values()
            while values.has_next():
                order = values.get()
                if order.cancellable:
                    hbt.cancel(0, order.order_id, False)
            if depth.best_bid_tick > 0 and depth.best_ask_tick < 2147483647:
                bid, ask = depth.best_bid, depth.best_ask
                hbt.submit_buy_order(0, 2 * steps + 1, bid, qty, GTX, LIMIT, False)
                hbt.submit_sell_order(0, 2 * steps + 2, ask, qty, GTX, LIMIT, False)
            steps += 1
        return steps

    def once():
        asset = (
            BacktestAsset()
            .data([events])
            .linear_asset(1.0)
            .constant_order_latency(2_000_000, 2_000_000)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0002, 0.0005)
            .tick_size(0.1)
            .lot_size(0.001)
        )
        hbt = HashMapMarketDepthBacktest([asset])
        begin = time.perf_counter()
        steps = quote(hbt, 100_000_000, 0.001)
        seconds = time.perf_counter() - begin
        hbt.close()
        if steps < 10:
            sys.exit(f"hftbacktest: {steps} steps only; the data was not understood")
        return seconds, len(events)

    once()  # compiles
    return once


def nautilus_run(data):
    """A function that runs once, or None."""
    try:
        from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
        from nautilus_trader.config import LoggingConfig
        from nautilus_trader.model.currencies import USDT
        from nautilus_trader.model.data import QuoteTick, TradeTick
        from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
        from nautilus_trader.model.identifiers import TradeId, Venue
        from nautilus_trader.model.objects import Money, Price, Quantity
        from nautilus_trader.test_kit.providers import TestInstrumentProvider
        from nautilus_trader.trading.strategy import Strategy
    except ImportError as error:
        print(f"nautilus_trader: skipped, {error}")
        return None
    contract = TestInstrumentProvider.btcusdt_perp_binance()
    px = lambda text: Price(float(text), contract.price_precision)
    qty = lambda text: Quantity(float(text), contract.size_precision)
    ticks = []
    for stamp, text in lines(data):
        frame = json.loads(text)
        stream, body = frame.get("stream", ""), frame.get("data", frame)
        if "bookTicker" in stream:
            sizes = (qty(body["B"]), qty(body["A"]))
            quote = (px(body["b"]), px(body["a"]))
            ticks.append(QuoteTick(contract.id, *quote, *sizes, stamp, stamp))
        elif stream.endswith("trade") and float(body["q"]) > 0:
            side = AggressorSide.SELLER if body["m"] else AggressorSide.BUYER
            trade = TradeId(str(body["t"]))
            ticks.append(
                TradeTick(contract.id, px(body["p"]), qty(body["q"]), side, trade, stamp, stamp)
            )

    class Quotes(Strategy):
        def on_start(self):
            self.seen, self.side = 0, OrderSide.BUY
            self.subscribe_quote_ticks(contract.id)
            self.subscribe_trade_ticks(contract.id)

        def on_quote_tick(self, tick):
            self.seen += 1
            if self.seen % 100 == 0:
                order = self.order_factory.market(contract.id, self.side, qty("0.001"))
                self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
                self.submit_order(order)

    def once():
        config = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True))
        engine = BacktestEngine(config=config)
        engine.add_venue(
            Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USDT)],
            base_currency=None,
        )
        engine.add_instrument(contract)
        engine.add_data(ticks)
        strategy = Quotes()
        engine.add_strategy(strategy)
        begin = time.perf_counter()
        engine.run()
        seconds = time.perf_counter() - begin
        seen = strategy.seen
        engine.dispose()
        if seen == 0:
            sys.exit("nautilus_trader: the strategy saw no quote")
        return seconds, len(ticks)

    return once


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="recorded BTCUSDT frames, one file")
    parser.add_argument("--peregrine", required=True, help="the program, optimised")
    parser.add_argument("--config", default="config/paper.toml")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = counted(arguments.data)
    updates = sum(found.values())
    print(f"{arguments.data}: {found}, {updates} updates; load {os.getloadavg()}")
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(1_000_000))
        fresh = lambda: str(Path(folder) / f"journal-{next(numbers)}")
        recorded = fresh()
        peregrine(arguments.peregrine, arguments.config, arguments.data, recorded)
        own = lambda data: lambda: peregrine(
            arguments.peregrine, arguments.config, data, fresh()
        )
        rows = {
            "peregrine, frames": (own(arguments.data), updates),
            "peregrine, journal": (own(recorded), updates),
            "hftbacktest": (hftbacktest_run(arguments.data), updates),
            "nautilus_trader": (
                nautilus_run(arguments.data), found["trades"] + found["quotes"],
            ),
        }
        rows = {name: row for name, row in rows.items() if row[0] is not None}
        seconds, events = {name: [] for name in rows}, {}
        for _ in range(arguments.rounds):
            for name, (once, _) in rows.items():
                took, events[name] = once()
                seconds[name].append(took)
    figures = {}
    print(f"{'':<20}{'seconds':>10}{'own events/s':>16}{'updates/s':>14}{'best updates/s':>16}")
    for name, (_, seen) in rows.items():
        middle, best = statistics.median(seconds[name]), min(seconds[name])
        own_rate, rate = events[name] / middle, seen / middle
        print(f"{name:<20}{middle:>10.4f}{own_rate:>16,.0f}{rate:>14,.0f}{seen / best:>16,.0f}")
        figures[name] = {"seconds": middle, "events": events[name], "updates": seen}
    print("figures: " + json.dumps(figures))


if __name__ == "__main__":
    main()
