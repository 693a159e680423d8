"""What the client scripts share: the exchange's start line, its ledger, exact amounts, counting.

Standard library only: the client is what is under test, and the oracle must not come through it.
"""

import asyncio
import faulthandler
import json
import sys
import time
import urllib.request
from decimal import Decimal

# A trigger this close (share of the price) is reached soon. Where the price runs away from it for
# so many seconds, or had passed it already, it is set anew, so often at most.
NEAR, NEAR_SECONDS, TRIES = 0.00005, 10.0, 40

# One unit of the ledger is 1e-8 of an asset or of a price.
SCALE = Decimal(10) ** 8
# Bound of every wait for something the exchange does by itself, and the pause between two looks.
WAIT_SECONDS = 120.0
PAUSE_SECONDS = 0.05
# Bound of a whole run: a client that hangs ends with an error and says where it was.
RUN_SECONDS = 900


def units(value):
    """Exact whole 1e-8 units of a decimal text, or of a float as it prints."""
    scaled = Decimal(str(value)) * SCALE
    whole = scaled.to_integral_value()
    assert scaled == whole, f"{value} is finer than 1e-8"
    return int(whole)


def on_grid(value, step, up=False):
    """`value` on the grid of `step`, as the text the exchange wants."""
    value, step = Decimal(str(value)), Decimal(str(step))
    steps = (value / step).to_integral_value(rounding="ROUND_CEILING" if up else "ROUND_FLOOR")
    return f"{(steps * step).normalize():f}"


class Drive:
    """One run of one client: where the exchange is, what was done, what must hold."""

    def __init__(self, client, version):
        start = json.loads(sys.argv[1])
        self.rest, self.ws = start["rest"].rstrip("/"), start["ws"].rstrip("/")
        self.key, self.secret = start["api_key"], start["api_secret"]
        self.counts = {"client": client, "version": version}
        self.counts |= {"steps": 0, "orders": 0, "fills": 0, "events": 0}
        self.at = "start"
        faulthandler.dump_traceback_later(RUN_SECONDS, exit=True)

    def step(self, what):
        """Names what comes next: it stands in front of every failure."""
        self.counts["steps"] += 1
        self.at = what
        print(f"{self.counts['client']}: {what}", file=sys.stderr, flush=True)

    def ordered(self, count=1):
        """Counts orders the exchange took on."""
        self.counts["orders"] += count

    def check(self, truth, what):
        """Fails with the step's name unless `truth`."""
        assert truth, f"{self.at}: {what}"

    def same(self, what, got, want):
        """Fails unless both are equal."""
        self.check(got == want, f"{what}: {got!r} is not {want!r}")

    def fields(self, got, **want):
        """Fails unless every named field of `got` has its value."""
        for name, value in want.items():
            self.same(name, got.get(name), value)

    def agree(self, answer, told, words, amounts):
        """Fails unless the stream tells what the answer says; it writes amounts in its own way."""
        for name, letter in words.items():
            self.same(f"{name} by the stream", told[letter], answer[name])
        for name, letter in amounts.items():
            self.same(f"{name} by the stream", units(told[letter]), units(answer[name]))

    async def look_out(self, ready, seconds):
        """What `ready` gives once it gives something; nothing after so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := ready():
                return found
            await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def wait(self, what, ready):
        """What `ready` gives once it gives something; bounded."""
        found = await self.look_out(ready, WAIT_SECONDS)
        self.check(found, f"{what} did not come within {WAIT_SECONDS:.0f} s")
        return found

    def ledger(self):
        """The exchange's books as they stand."""
        with urllib.request.urlopen(f"{self.rest}/sim/ledger", timeout=30) as answer:
            return Ledger(json.load(answer), self.key)

    def finish(self):
        """Prints the counts: the last line of output."""
        for name in ("orders", "fills", "events"):
            assert self.counts[name] > 0, f"no {name} were seen"
        print(json.dumps(self.counts), flush=True)


class LedgerOrder:
    """One order as the ledger keeps it, in whole units."""

    def __init__(self, kept):
        self.status, self.fills = kept["status"], kept["fills"]
        self.qty, self.filled = kept["qty"], kept["filled"]
        self.quote, self.fee = kept["quote"], kept["fee"]
        self.trade_ids = sorted(fill["trade_id"] for fill in self.fills)
        assert self.filled == sum(fill["qty"] for fill in self.fills), kept
        assert self.fee == sum(fill["fee"] for fill in self.fills), kept


class Ledger:
    """`GET /sim/ledger`: one account's books in whole units."""

    def __init__(self, report, key):
        assert report["unit"] == SCALE, report["unit"]
        assert report["balanced"] is True, "the books do not balance"
        self.account = next(a for a in report["accounts"] if a["api_key"] == key)
        for part in ("wallet", "deposit", "realized", "fees", "funding", "insurance"):
            setattr(self, part, self.account[part])
        self.all_trade_ids = sorted(
            fill["trade_id"] for order in self.account["orders"] for fill in order["fills"]
        )

    def order(self, client_id):
        """The one order of this name."""
        (kept,) = [o for o in self.account["orders"] if o["client_id"] == client_id]
        return LedgerOrder(kept)

    def client_ids(self, symbol):
        """The names of all orders of a contract."""
        return sorted(o["client_id"] for o in self.account["orders"] if o["symbol"] == symbol)

    def position_qty(self, symbol, side="BOTH"):
        """Signed quantity of a position; zero where there is none."""
        held = [p for p in self.account["positions"] if p["symbol"] == symbol]
        return sum(p["qty"] for p in held if p["side"] == side)
