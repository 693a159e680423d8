// An account of the simulated exchange behind the unmodified npm package `binance`: streams,
// orders, agreement with the ledger. Settings changed: `baseUrl` and `wsUrl`.

import { createRequire } from 'node:module';

// The package is installed where the script is started.
const require = createRequire(`${process.cwd()}/`);
export const { USDMClient, WebsocketClient, WebsocketAPIClient } = require('binance');
export const VERSION = require('binance/package.json').version;

export const SYMBOL = 'BTCUSDT';
// Bound of every wait for something the exchange does by itself, and the pause between two looks.
const WAIT_MILLIS = 120_000;
const PAUSE_MILLIS = 50;

// Bound of a whole run: a client that hangs ends with an error.
const RUN_MILLIS = 900_000;

const quiet = { trace() {}, info() {}, error() {} };

/** Exact whole 1e-8 units of a decimal text. */
export function units(value) {
  const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? [];
  if (whole === undefined || /[1-9]/.test(part.slice(8))) {
    throw new Error(`${value} is no amount of 1e-8 units`);
  }
  const scaled = BigInt(whole) * 100_000_000n + BigInt(part.slice(0, 8).padEnd(8, '0'));
  return sign ? -scaled : scaled;
}

/** Whole units as a decimal text. */
export function text(scaled) {
  const digits = String(scaled).padStart(9, '0');
  const part = digits.slice(-8).replace(/0+$/, '');
  return part ? `${digits.slice(0, -8)}.${part}` : digits.slice(0, -8);
}

export function sum(values) {
  return values.reduce((a, b) => a + b, 0n);
}

/** One run of the client: where the exchange is, what was done, what must hold. */
export class Run {
  constructor(start) {
    const { rest, ws, api_key, api_secret } = JSON.parse(start);
    this.start = { rest: rest.replace(/\/$/, ''), ws: ws.replace(/\/$/, '') };
    this.keys = { api_key, api_secret };
    this.counts = { client: 'binance', version: VERSION, steps: 0, orders: 0, fills: 0, events: 0 };
    this.rest = this.client();
    const settings = { ...this.keys, wsUrl: this.start.ws };
    settings.restOptions = { baseUrl: this.start.rest };
    this.sockets = new WebsocketClient(settings, quiet);
    const silent = { attachEventListeners: false, muteLatencyWarning: true };
    this.api = new WebsocketAPIClient({ ...settings, ...silent }, quiet);
    this.loggedOn = false;
    this.api.getWSClient().on('authenticated', () => (this.loggedOn = true));
    this.orders = new Map();
    this.algos = new Map();
    this.trades = new Map();
    this.positions = new Map();
    this.executions = new Set();
    this.configs = [];
    this.streams = new Map();
    this.failure = null;
    this.wallet = null;
    setTimeout(() => {
      console.error(`${this.at}: not done within ${RUN_MILLIS} ms`);
      process.exit(1);
    }, RUN_MILLIS).unref();
  }

  /** A REST client with some settings of its own. */
  client(changes = {}) {
    return new USDMClient({ ...this.keys, baseUrl: this.start.rest, ...changes });
  }

  /** Names what comes next: it stands in front of every failure. */
  step(what) {
    this.counts.steps += 1;
    this.at = what;
    console.error(`binance: ${what}`);
  }

  check(truth, what) {
    if (!truth) {
      throw new Error(`${this.at}: ${what}`);
    }
  }

  same(what, got, want) {
    const plain = (value) =>
      JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item));
    this.check(plain(got) === plain(want), `${what}: ${plain(got)} is not ${plain(want)}`);
  }

  fields(got, want) {
    for (const [name, value] of Object.entries(want)) {
      this.same(name, got[name], value);
    }
  }

  /** Fails unless the stream tells what the answer says; it writes amounts in its own way. */
  agree(answer, told, words, amounts) {
    for (const [name, letter] of Object.entries(words)) {
      this.same(`${name} by the stream`, told[letter], answer[name]);
    }
    for (const [name, letter] of Object.entries(amounts)) {
      this.same(`${name} by the stream`, units(told[letter]), units(answer[name]));
    }
  }

  /** What `ready` gives once it gives something; nothing after so long. */
  async lookOut(ready, millis) {
    for (let waited = 0; waited < millis; waited += PAUSE_MILLIS) {
      if (this.failure) {
        throw this.failure;
      }
      const found = ready();
      if (found) {
        return found;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS));
    }
    return undefined;
  }

  /** What `ready` gives once it gives something; bounded. */
  async wait(what, ready) {
    const found = await this.lookOut(ready, WAIT_MILLIS);
    this.check(found, `${what} did not come`);
    return found;
  }

  /** The call must fail with the venue's number. */
  async refused(code, call) {
    let answer;
    try {
      answer = await call;
    } catch (error) {
      const told = error.error ?? error;
      this.same('code', told.code, code);
      this.check(told.message || told.msg, 'no words');
      return;
    }
    this.check(false, `${code} was expected, the answer was ${JSON.stringify(answer)}`);
  }

  /** Opens the user stream and the market streams, and keeps what they tell. */
  async follow(topics) {
    this.step('streams');
    this.sockets.on('message', (event) => {
      try {
        for (const one of Array.isArray(event) ? event : [event]) {
          this.take(one);
        }
      } catch (error) {
        this.failure ??= error;
      }
    });
    this.sockets.on('exception', (event) => {
      this.failure ??= new Error(`a stream broke: ${JSON.stringify(event)}`);
    });
    await this.sockets.subscribeUsdFuturesUserDataStream();
    await this.sockets.subscribe(topics, 'usdm');
    for (const topic of topics) {
      await this.wait(`stream ${topic}`, () => this.streams.has(topic));
    }
    await this.sockets.unsubscribe(topics, 'usdm');
  }

  /** Takes an event in. */
  take(event) {
    this.counts.events += 1;
    if (event.streamName) {
      this.streams.set(event.streamName, event);
    }
    if (event.e === 'ORDER_TRADE_UPDATE') {
      this.orders.set(event.o.i, event.o);
      this.executions.add(`${event.o.i} ${event.o.x}`);
      if (event.o.x === 'TRADE') {
        this.trades.set(event.o.t, event.o);
      }
    } else if (event.e === 'ALGO_UPDATE') {
      this.algos.set(event.o.aid, event.o);
    } else if (event.e === 'ACCOUNT_UPDATE') {
      event.a.B.forEach((balance) => (this.wallet = balance.wb));
      event.a.P.forEach((held) => this.positions.set(`${held.s} ${held.ps}`, held));
    } else if (event.e === 'ACCOUNT_CONFIG_UPDATE') {
      this.configs.push(event);
    }
  }

  /** Quantity of a position as the stream last told it, in units. */
  held(side = 'BOTH') {
    const told = this.positions.get(`${SYMBOL} ${side}`);
    return told && units(told.pa);
  }

  /** Best bid and ask. */
  async quote() {
    const book = await this.rest.getSymbolOrderBookTicker({ symbol: SYMBOL });
    return [units(book.bidPrice), units(book.askPrice)];
  }

  /** A share (in ten thousandths) of a price, on the grid, as text. */
  px(value, share = 10_000n) {
    const tick = units(this.filters.PRICE_FILTER.tickSize);
    return text(((value * share) / 10_000n / tick) * tick);
  }

  /** A quantity worth at least `value` USDT, as text. */
  lots(px, value = 150n) {
    const lot = units(this.filters.LOT_SIZE.stepSize);
    const exact = (value * 100_000_000n * 100_000_000n) / px;
    return text((exact / lot + 1n) * lot);
  }

  /** Places an order and looks at the answer. */
  async place(params) {
    const asked = { symbol: SYMBOL, newClientOrderId: this.rest.generateNewOrderId(), ...params };
    const order = await this.rest.submitNewOrder(asked);
    this.counts.orders += 1;
    const { symbol, side, type } = asked;
    this.fields(order, { symbol, side, type, clientOrderId: asked.newClientOrderId });
    return order;
  }

  /** The account's books. */
  async ledger() {
    const report = await (await fetch(`${this.start.rest}/sim/ledger`)).json();
    this.same('unit', report.unit, 100_000_000);
    this.same('balanced', report.balanced, true);
    const books = report.accounts.find((account) => account.api_key === this.keys.api_key);
    books.order = (name) => books.orders.find((order) => order.client_id === name);
    books.position = (side = 'BOTH') => {
      const held = books.positions.filter((p) => p.symbol === SYMBOL && p.side === side);
      return sum(held.map((position) => BigInt(position.qty)));
    };
    return books;
  }

  /** The order once the stream shows it in `status`: query, stream and ledger agree. */
  async settled(order, status) {
    const told = await this.wait(`order ${order.orderId} ${status}`, () => {
      const seen = this.orders.get(order.orderId);
      return seen?.X === status && seen;
    });
    const fetched = await this.rest.getOrder({ symbol: SYMBOL, orderId: order.orderId });
    const kept = (await this.ledger()).order(order.clientOrderId);
    this.same('status by query', fetched.status, status);
    this.same('status in the ledger', kept.status, status);
    const words = { side: 'S', type: 'o', timeInForce: 'f', positionSide: 'ps', reduceOnly: 'R' };
    this.agree(fetched, told, words, { origQty: 'q', executedQty: 'z', price: 'p' });
    this.same('filled', units(fetched.executedQty), BigInt(kept.filled));
    this.same('value filled', units(fetched.cumQuote), BigInt(kept.quote));
    if (kept.filled) {
      await this.fillsAgree(order.orderId, kept);
    }
    return fetched;
  }

  /** The trades of a filled order by query and stream are those of the ledger. */
  async fillsAgree(orderId, kept) {
    const own = await this.rest.getAccountTrades({ symbol: SYMBOL, orderId });
    const ids = own.map((trade) => trade.id);
    this.same('ids of its trades', ids, kept.fills.map((fill) => fill.trade_id));
    this.same('its fees', sum(own.map((t) => units(t.commission))), BigInt(kept.fee));
    this.same('its quantity', sum(own.map((t) => units(t.qty))), BigInt(kept.filled));
    await this.wait('its trades', () => ids.every((id) => this.trades.has(id)));
    for (const trade of own) {
      const told = this.trades.get(trade.id);
      const words = { maker: 'm', orderId: 'i', side: 'S', commissionAsset: 'N' };
      const amounts = { price: 'L', qty: 'l', commission: 'n', realizedPnl: 'rp' };
      this.agree(trade, told, words, amounts);
    }
    this.counts.fills += own.length;
  }

  /** Prints the counts: the last line of output. */
  finish() {
    for (const name of ['orders', 'fills', 'events']) {
      this.check(this.counts[name] > 0, `no ${name} were seen`);
    }
    console.log(JSON.stringify(this.counts));
  }
}
