// Drives the simulated exchange with the unmodified npm package `binance`: data, streams, every
// order.

import { accounts } from './binance_account.mjs';
import { Run, SYMBOL, units } from './binance_run.mjs';

const LOWER = SYMBOL.toLowerCase();

async function publicData(run) {
  const { rest } = run;
  run.step('time, contracts');
  await rest.testConnectivity();
  run.check(Math.abs((await rest.getServerTime()) - Date.now()) < 60_000, 'the clocks differ');
  const info = await rest.getExchangeInfo();
  const contract = info.symbols.find((one) => one.symbol === SYMBOL);
  run.fields(contract, { status: 'TRADING', contractType: 'PERPETUAL', marginAsset: 'USDT' });
  run.filters = Object.fromEntries(contract.filters.map((filter) => [filter.filterType, filter]));
  run.step('order book, trades, klines');
  const symbol = SYMBOL;
  const book = await rest.getOrderBook({ symbol, limit: 100 });
  run.check(units(book.bids[0][0]) < units(book.asks[0][0]), 'the book is crossed');
  for (const what of ['getRecentTrades', 'getHistoricalTrades', 'getAggregateTrades']) {
    run.check((await rest[what]({ symbol, limit: 10 })).length > 0, `${what} is empty`);
  }
  const bars = { interval: '1m', limit: 10 };
  for (const told of [
    await rest.getKlines({ symbol, ...bars }),
    await rest.getMarkPriceKlines({ symbol, ...bars }),
    await rest.getPremiumIndexKlines({ symbol, ...bars }),
    await rest.getIndexPriceKlines({ pair: symbol, ...bars }),
    await rest.getContinuousContractKlines({ pair: symbol, contractType: 'PERPETUAL', ...bars }),
  ]) {
    run.check(told.length > 0 && told.every((bar) => bar.length === 12), 'no bars of 12 fields');
  }
  run.step('tickers, funding, open interest');
  for (const what of ['getMarkPrice', 'getOpenInterest', 'getSymbolPriceTicker']) {
    run.same(what, (await rest[what]({ symbol })).symbol, SYMBOL);
  }
  run.same('ticker', (await rest.get24hrChangeStatistics({ symbol })).symbol, SYMBOL);
  run.check((await rest.getFundingRateHistory({ symbol, limit: 3 })).length > 0, 'no past rates');
  run.check(Array.isArray(await rest.getFundingRates()), 'no funding intervals');
  for (const what of [
    'getOpenInterestStatistics',
    'getTopTradersLongShortPositionRatio',
    'getTopTradersLongShortAccountRatio',
    'getGlobalLongShortAccountRatio',
    'getTakerBuySellVolume',
  ]) {
    const told = await rest[what]({ symbol, period: '5m', limit: 3 });
    run.check(told.length > 0, `${what} is empty`);
  }
}

async function limits(run) {
  const { rest } = run;
  const [bid, ask] = await run.quote();
  const [low, over, quantity] = [run.px(bid, 9_700n), run.px(ask, 10_100n), run.lots(bid)];
  const buy = { side: 'BUY', type: 'LIMIT', quantity };
  run.step('limit GTC: place, see, amend, cancel');
  let order = await run.place({ ...buy, timeInForce: 'GTC', price: low });
  run.fields(order, { status: 'NEW', positionSide: 'BOTH' });
  await run.settled(order, 'NEW');
  const open = await rest.getAllOpenOrders({ symbol: SYMBOL });
  run.same('open orders', open.map((one) => one.orderId), [order.orderId]);
  const number = { symbol: SYMBOL, orderId: order.orderId };
  run.same('open', (await rest.getCurrentOpenOrder(number)).clientOrderId, order.clientOrderId);
  const price = run.px(bid, 9_650n);
  const changed = await rest.modifyOrder({ ...number, side: 'BUY', quantity, price });
  run.same('price', units(changed.price), units(price));
  await run.wait('the change', () => run.executions.has(`${order.orderId} AMENDMENT`));
  const past = await rest.getOrderModifyHistory(number);
  run.same('amended price', units(past[0].amendment.price.after), units(price));
  run.same('status', (await rest.cancelOrder(number)).status, 'CANCELED');
  await run.settled(order, 'CANCELED');
  run.step('limit GTX: rests, or is refused');
  order = await run.place({ ...buy, timeInForce: 'GTX', price: low });
  await rest.cancelOrder({ symbol: SYMBOL, origClientOrderId: order.clientOrderId });
  await run.settled(order, 'CANCELED');
  await run.refused(-5022, run.place({ ...buy, timeInForce: 'GTX', price: over }));
  run.step('limit IOC and FOK: take, expire, or are refused');
  const result = { newOrderRespType: 'RESULT' };
  order = await run.place({ ...buy, timeInForce: 'IOC', price: over, ...result });
  run.same('status', order.status, 'FILLED');
  await run.settled(order, 'FILLED');
  order = await run.place({ ...buy, timeInForce: 'IOC', price: low, ...result });
  await run.settled(order, 'EXPIRED');
  const under = run.px(bid, 9_900n);
  order = await run.place({ ...buy, side: 'SELL', timeInForce: 'FOK', price: under });
  await run.settled(order, 'FILLED');
  await run.refused(-5021, run.place({ ...buy, timeInForce: 'FOK', price: low }));
  run.step('limit GTD');
  const goodTillDate = (Math.floor(Date.now() / 1000) + 700) * 1000;
  order = await run.place({ ...buy, timeInForce: 'GTD', price: low, goodTillDate });
  run.same('end', order.goodTillDate, goodTillDate);
  await rest.cancelOrder({ symbol: SYMBOL, orderId: order.orderId });
  await run.settled(order, 'CANCELED');
}

async function markets(run) {
  const { rest } = run;
  const [bid, ask] = await run.quote();
  const quantity = run.lots(bid, 600n);
  run.step('market orders move the position');
  await run.settled(await run.place({ type: 'MARKET', side: 'BUY', quantity }), 'FILLED');
  for (const told of [
    await rest.getPositions({ symbol: SYMBOL }),
    await rest.getPositionsV3({ symbol: SYMBOL }),
  ]) {
    run.same('position', told.map((one) => units(one.positionAmt)), [units(quantity)]);
  }
  run.same('in the ledger', (await run.ledger()).position(), units(quantity));
  await run.wait('the position', () => run.held() === units(quantity));
  run.step('reduce only');
  const sell = { type: 'LIMIT', side: 'SELL', timeInForce: 'GTC', quantity, reduceOnly: 'true' };
  const order = await run.place({ ...sell, price: run.px(ask, 10_300n) });
  run.same('reduceOnly', order.reduceOnly, true);
  await rest.cancelOrder({ symbol: SYMBOL, orderId: order.orderId });
  await run.settled(order, 'CANCELED');
  const wrong = { type: 'MARKET', side: 'BUY', quantity, reduceOnly: 'true' };
  await run.refused(-2022, run.place(wrong));
  await run.settled(await run.place({ ...wrong, side: 'SELL' }), 'FILLED');
  await run.wait('the position gone', () => run.held() === 0n);
}

async function main() {
  const run = new Run(process.argv[2]);
  await publicData(run);
  try {
    await run.follow([
      `${LOWER}@bookTicker`,
      `${LOWER}@depth@100ms`,
      `${LOWER}@depth10@100ms`,
      `${LOWER}@aggTrade`,
      `${LOWER}@markPrice@1s`,
      `${LOWER}@kline_1m`,
      `${LOWER}@ticker`,
      `${LOWER}@miniTicker`,
      '!markPrice@arr@1s',
    ]);
    await limits(run);
    await markets(run);
    await accounts(run);
  } finally {
    run.sockets.closeAll(true);
    await run.api.disconnectAll();
  }
  run.finish();
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error instanceof Error ? error : JSON.stringify(error));
    process.exit(1);
  },
);
