// Conditional orders, batches, account settings, refusals, the trading WebSocket, and the books.

import { SYMBOL, sum, units } from './binance_run.mjs';

// A trigger this close (ten thousandths of the price) is reached soon. Where the price runs away
// from it for so long, or had passed it already, it is set anew, so often at most.
const NEAR = 9_999n;
const NEAR_MILLIS = 10_000;
const TRIES = 40;

async function conditionals(run) {
  const { rest } = run;
  const [bid, ask] = await run.quote();
  const quantity = run.lots(bid, 600n);
  run.step('conditional orders of every kind');
  await run.settled(await run.place({ type: 'MARKET', side: 'BUY', quantity }), 'FILLED');
  const [low, high] = [run.px(bid, 9_700n), run.px(ask, 10_300n)];
  const [whole, part] = [{ closePosition: 'true' }, { quantity, reduceOnly: 'true' }];
  const asked = {
    STOP_MARKET: { ...whole, triggerPrice: low },
    TAKE_PROFIT_MARKET: { ...whole, triggerPrice: high, workingType: 'MARK_PRICE' },
    STOP: { ...part, triggerPrice: low, price: low, timeInForce: 'GTC' },
    TAKE_PROFIT: { ...part, triggerPrice: high, price: high, timeInForce: 'GTC' },
    TRAILING_STOP_MARKET: { ...part, callbackRate: '1', activatePrice: high },
  };
  const fixed = { algoType: 'CONDITIONAL', symbol: SYMBOL, side: 'SELL' };
  const numbers = [];
  for (const [type, params] of Object.entries(asked)) {
    const algo = await rest.submitNewAlgoOrder({ ...fixed, type, ...params });
    run.counts.orders += 1;
    run.fields(algo, { orderType: type, algoStatus: 'NEW', algoType: 'CONDITIONAL' });
    numbers.push(algo.algoId);
    const told = await run.wait(type, () => run.algos.get(algo.algoId));
    run.fields(told, { X: 'NEW', o: type, caid: algo.clientAlgoId });
  }
  run.step('conditional orders: found and taken back');
  const held = await rest.getOpenAlgoOrders({ symbol: SYMBOL });
  run.same('open', held.map((algo) => algo.algoId).sort(), [...numbers].sort());
  const [, , algoId] = numbers;
  run.same('found', (await rest.getAlgoOrder({ algoId })).orderType, 'STOP');
  run.fields(await rest.cancelAlgoOrder({ algoId }), { algoId, code: '200', msg: 'success' });
  await rest.cancelAllAlgoOpenOrders({ symbol: SYMBOL });
  const gone = () => numbers.every((number) => run.algos.get(number).X === 'CANCELED');
  await run.wait('the end of all', gone);
  const every = await rest.getAllAlgoOrders({ symbol: SYMBOL });
  const known = every.map((algo) => algo.algoId);
  run.check(numbers.every((number) => known.includes(number)), 'not among all orders');
  const atOnce = { ...fixed, type: 'STOP', ...asked.STOP, triggerPrice: high, price: high };
  await run.refused(-2021, rest.submitNewAlgoOrder(atOnce));
  await run.refused(-4120, run.place({ side: 'SELL', type: 'STOP_MARKET', quantity }));
  await triggered(run, { ...fixed, type: 'STOP_MARKET', closePosition: 'true' });
}

async function triggered(run, stop) {
  const { rest } = run;
  run.step('a stop triggers');
  let algoId;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const [bid] = await run.quote();
    const asked = { ...stop, triggerPrice: run.px(bid, NEAR) };
    const missed = (error) => run.check([-2011, -2021].includes(error.code), error.message);
    const algo = await rest.submitNewAlgoOrder(asked).catch(missed);
    if (algo) {
      algoId = algo.algoId;
      run.counts.orders += 1;
      const gone = () => !['NEW', undefined].includes(run.algos.get(algoId)?.X);
      if (await run.lookOut(gone, NEAR_MILLIS)) {
        break;
      }
      await rest.cancelAlgoOrder({ algoId }).catch(missed);
    }
  }
  const ended = await run.wait("the stop's end", () => {
    const told = run.algos.get(algoId);
    return told.X === 'FINISHED' && told;
  });
  const order = await rest.getOrder({ symbol: SYMBOL, orderId: Number(ended.ai) });
  run.fields(order, { origType: 'STOP_MARKET', closePosition: true });
  await run.settled(order, 'FILLED');
  run.same('position', (await run.ledger()).position(), 0n);
}

async function batches(run) {
  const { rest } = run;
  const [bid] = await run.quote();
  const [low, quantity] = [run.px(bid, 9_700n), run.lots(bid)];
  run.step('batch: placed, changed, cancelled');
  const buy = { symbol: SYMBOL, side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity };
  const names = [1, 2, 3].map(() => rest.generateNewOrderId());
  const prices = [low, run.px(bid, 100n), low];
  const answers = await rest.submitMultipleOrders(
    prices.map((price, i) => ({ ...buy, price, newClientOrderId: names[i] })),
  );
  run.same('names', answers.map((one) => one.clientOrderId), [names[0], undefined, names[2]]);
  run.check(answers[1].code < 0, 'no reason for the refusal');
  run.counts.orders += 2;
  const placed = [answers[0], answers[2]];
  const price = run.px(bid, 9_600n);
  const changed = await rest.modifyMultipleOrders(
    placed.map(({ orderId }) => ({ orderId, symbol: SYMBOL, side: 'BUY', quantity, price })),
  );
  run.same('prices', changed.map((one) => units(one.price)), [units(price), units(price)]);
  const orderIdList = placed.map((one) => one.orderId);
  const gone = await rest.cancelMultipleOrders({ symbol: SYMBOL, orderIdList });
  run.same('cancelled', gone.map((one) => one.status), ['CANCELED', 'CANCELED']);
  for (const order of placed) {
    await run.settled(order, 'CANCELED');
  }
  run.step('cancel all, countdown');
  const rested = [await run.place({ ...buy, price: low }), await run.place({ ...buy, price: low })];
  run.same('code', (await rest.cancelAllOpenOrders({ symbol: SYMBOL })).code, 200);
  const more = [await run.place({ ...buy, price: low }), await run.place({ ...buy, price: low })];
  const told = await rest.setCancelOrdersOnTimeout({ symbol: SYMBOL, countdownTime: 500 });
  run.fields(told, { symbol: SYMBOL, countdownTime: '500' });
  for (const order of [...rested, ...more]) {
    await run.settled(order, 'CANCELED');
  }
  await rest.setCancelOrdersOnTimeout({ symbol: SYMBOL, countdownTime: 0 });
}

async function settings(run) {
  const { rest } = run;
  const symbol = SYMBOL;
  run.step('leverage, brackets, fees, modes');
  run.fields(await rest.setLeverage({ symbol, leverage: 7 }), { leverage: 7, symbol });
  await run.wait('the leverage', () => run.configs.some((event) => event.ac?.l === 7));
  const [config] = await rest.getFuturesSymbolConfig({ symbol });
  run.fields(config, { leverage: 7, marginType: 'CROSSED' });
  const every = await rest.getNotionalAndLeverageBrackets();
  const { brackets } = every.find((one) => one.symbol === symbol);
  run.check(brackets.length > 1 && brackets[0].initialLeverage > 1, 'no brackets');
  run.same('fees of', (await rest.getAccountCommissionRate({ symbol })).symbol, symbol);
  run.same('assets', await rest.getMultiAssetsMode(), { multiAssetsMargin: false });
  run.step('hedge mode');
  const [bid] = await run.quote();
  const market = { type: 'MARKET', quantity: run.lots(bid, 300n) };
  await rest.setPositionMode({ dualSidePosition: 'true' });
  run.same('hedge', await rest.getCurrentPositionMode(), { dualSidePosition: true });
  await run.refused(-4061, run.place({ ...market, side: 'BUY' }));
  const turns = [['BUY', 'LONG'], ['SELL', 'SHORT'], ['SELL', 'LONG'], ['BUY', 'SHORT']];
  for (const [side, positionSide] of turns) {
    await run.settled(await run.place({ ...market, side, positionSide }), 'FILLED');
    const kept = (await run.ledger()).position(positionSide);
    await run.wait(`the ${positionSide} position`, () => run.held(positionSide) === kept);
  }
  await rest.setPositionMode({ dualSidePosition: 'false' });
  await run.refused(-4059, rest.setPositionMode({ dualSidePosition: 'false' }));
  run.step('isolated margin');
  await rest.setMarginType({ symbol, marginType: 'ISOLATED' });
  await run.refused(-4046, rest.setMarginType({ symbol, marginType: 'ISOLATED' }));
  await run.settled(await run.place({ ...market, side: 'BUY' }), 'FILLED');
  const [before] = await rest.getPositionsV3({ symbol });
  await rest.setIsolatedPositionMargin({ symbol, amount: 10, type: '1' });
  const [after] = await rest.getPositionsV3({ symbol });
  const own = units(after.isolatedWallet) - units(before.isolatedWallet);
  run.same('own margin', own, units('10'));
  const moves = await rest.getPositionMarginChangeHistory({ symbol });
  run.check(moves.some((move) => units(move.amount) === units('10')), 'the change is not told');
  const close = { ...market, side: 'SELL', reduceOnly: 'true' };
  await run.settled(await run.place(close), 'FILLED');
  await rest.setMarginType({ symbol, marginType: 'CROSSED' });
}

async function refusals(run) {
  const { rest } = run;
  const [bid] = await run.quote();
  const buy = { side: 'BUY', type: 'LIMIT', timeInForce: 'GTC' };
  Object.assign(buy, { quantity: run.lots(bid), price: run.px(bid, 9_700n) });
  run.step('refusals');
  await rest.setLeverage({ symbol: SYMBOL, leverage: 1 });
  const free = units((await rest.getAccountInformationV3()).availableBalance) / 100_000_000n;
  const [most, wanted] = [run.filters.LOT_SIZE.maxQty, run.lots(bid, (free * 6n) / 5n)];
  const quantity = units(wanted) < units(most) ? wanted : most;
  await run.refused(-2019, run.place({ ...buy, quantity }));
  await rest.setLeverage({ symbol: SYMBOL, leverage: 20 });
  const order = await run.place(buy);
  await run.refused(-4116, run.place({ ...buy, newClientOrderId: order.clientOrderId }));
  const number = { symbol: SYMBOL, orderId: order.orderId };
  await rest.cancelOrder(number);
  await run.settled(order, 'CANCELED');
  await run.refused(-2011, rest.cancelOrder(number));
  await run.refused(-2013, rest.getOrder({ symbol: SYMBOL, orderId: 999_999_999_999 }));
  await run.refused(-4164, run.place({ ...buy, price: run.px(bid, 100n) }));
  await run.refused(-1111, run.place({ ...buy, quantity: '0.00000001' }));
  await run.refused(-1121, run.place({ ...buy, symbol: 'NOPEUSDT' }));
  for (const [changes, code] of [
    [{ api_secret: 'wrong' }, -1022],
    [{ api_key: 'N'.repeat(64) }, -2015],
    [{ api_key: 'no key' }, -2014],
  ]) {
    await run.refused(code, run.client(changes).getAllOpenOrders({ symbol: SYMBOL }));
  }
}

async function bySocket(run) {
  const { api } = run;
  const [bid] = await run.quote();
  const quantity = run.lots(bid);
  run.step('orders over the trading WebSocket');
  const asked = async (call) => {
    const answer = await call;
    run.same('status', answer.status, 200);
    run.check(answer.rateLimits.length > 0, 'no rate limits');
    return answer.result;
  };
  const now = () => ({ symbol: SYMBOL, timestamp: Date.now() });
  const buy = { side: 'BUY', type: 'LIMIT', timeInForce: 'GTC', quantity };
  const first = { ...buy, price: run.px(bid, 9_700n), ...now() };
  let order = await asked(api.submitNewFuturesOrder('usdm', first));
  run.counts.orders += 1;
  const { orderId } = order;
  const price = run.px(bid, 9_650n);
  const change = { orderId, side: 'BUY', quantity, price, ...now() };
  const changed = await asked(api.modifyFuturesOrder('usdm', change));
  run.same('price', units(changed.price), units(price));
  const found = await asked(api.getFuturesOrderStatus('usdm', { orderId, ...now() }));
  run.fields(found, { status: 'NEW', clientOrderId: order.clientOrderId });
  await asked(api.cancelFuturesOrder('usdm', { orderId, ...now() }));
  await run.settled(order, 'CANCELED');
  await run.refused(-2011, asked(api.cancelFuturesOrder('usdm', { orderId, ...now() })));
  for (const side of ['BUY', 'SELL']) {
    const whole = { side, type: 'MARKET', quantity, ...now() };
    order = await asked(api.submitNewFuturesOrder('usdm', whole));
    run.counts.orders += 1;
    await run.settled(order, 'FILLED');
  }
  const stop = { algoType: 'CONDITIONAL', side: 'SELL', type: 'STOP_MARKET', quantity };
  const placed = { ...stop, triggerPrice: run.px(bid, 9_700n), ...now() };
  const { algoId } = await asked(api.submitNewFuturesAlgoOrder(placed));
  run.counts.orders += 1;
  await asked(api.cancelFuturesAlgoOrder({ algoId, timestamp: Date.now() }));
  // With a key pair the client logs on and signs no request after that.
  run.same('logged on', run.loggedOn, run.keys.api_secret.includes('PRIVATE KEY'));
  run.step('queries over the trading WebSocket');
  const book = await asked(api.getFuturesOrderBook({ symbol: SYMBOL }));
  run.check(units(book.bids[0][0]) < units(book.asks[0][0]), 'the book is crossed');
  await asked(api.getFuturesSymbolPriceTicker({ symbol: SYMBOL }));
  await asked(api.getFuturesSymbolOrderBookTicker({ symbol: SYMBOL }));
  const wallet = BigInt((await run.ledger()).wallet);
  const time = () => ({ timestamp: Date.now() });
  for (const balances of [
    await asked(api.getFuturesAccountBalance('usdm', time())),
    await asked(api.getFuturesAccountBalanceV2(time())),
  ]) {
    run.same('balance', units(balances.find((b) => b.asset === 'USDT').balance), wallet);
  }
  for (const status of [
    await asked(api.getFuturesAccountStatus('usdm', time())),
    await asked(api.getFuturesAccountStatusV2(time())),
  ]) {
    run.same('wallet', units(status.totalWalletBalance), wallet);
  }
  const risk = await asked(api.getFuturesPositionV2(time()));
  run.check(risk.every((one) => units(one.positionAmt) === 0n), 'a position is left');
}

async function closing(run) {
  const { rest } = run;
  run.step('the books');
  const kept = await run.ledger();
  const wallet = BigInt(kept.wallet);
  for (const balances of [await rest.getBalance(), await rest.getBalanceV3()]) {
    run.same('balance', units(balances.find((b) => b.asset === 'USDT').balance), wallet);
  }
  for (const told of [await rest.getAccountInformation(), await rest.getAccountInformationV3()]) {
    run.same('wallet', units(told.totalWalletBalance), wallet);
    run.same('available', units(told.availableBalance), wallet);
  }
  await run.wait('the balance', () => run.wallet && units(run.wallet) === wallet);
  const own = await rest.getAccountTrades({ symbol: SYMBOL, limit: 1000 });
  const ids = kept.orders.flatMap((order) => order.fills.map((fill) => fill.trade_id));
  const ascending = (list) => [...list].sort((a, b) => a - b);
  run.same('trades', ascending(own.map((trade) => trade.id)), ascending(ids));
  const fees = sum(own.map((trade) => units(trade.commission)));
  const won = sum(own.map((trade) => units(trade.realizedPnl)));
  run.same('fees', fees, BigInt(kept.fees));
  run.same('realised', won, BigInt(kept.realized));
  run.same('sum', BigInt(kept.deposit) + won - fees + BigInt(kept.funding), wallet);
  const income = await rest.getIncomeHistory({ limit: 1000 });
  const of = (kind) => sum(income.filter((e) => e.incomeType === kind).map((e) => units(e.income)));
  run.same('income: fees', of('COMMISSION'), -fees);
  run.same('income: realised', of('REALIZED_PNL'), won);
  const every = await rest.getAllOrders({ symbol: SYMBOL, limit: 1000 });
  const names = (list, field) => list.map((order) => order[field]).sort();
  run.same('orders', names(every, 'clientOrderId'), names(kept.orders, 'client_id'));
  await rest.keepAliveFuturesUserDataListenKey();
}

/** All of it. */
export async function accounts(run) {
  await conditionals(run);
  await batches(run);
  await settings(run);
  await refusals(run);
  await bySocket(run);
  await closing(run);
}
