//! Streams made on a timer, out of the market's books, marks and history.

use super::{Board, Delivery, Facts, State, Topic, diff};
use crate::base::Nanos;
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::tape::frames::Json;

/// Sends what a board shows at `now`, if there is anything.
pub(super) fn send(
    board: &mut Board,
    facts: &[Facts],
    market: &SyntheticMarket,
    now: Nanos,
    out: &mut Vec<Delivery>,
) {
    let texts = match (&mut board.state, board.topic) {
        (State::Diff(chain), Topic::Diff(contract, _)) => {
            chain.flush(&facts[contract].spec, now).into_iter().collect()
        }
        (State::Partial(sent), Topic::Partial { contract, levels, .. }) => {
            partial(sent, market, contract, levels, now).into_iter().collect()
        }
        (State::Forced(largest), _) => largest
            .iter_mut()
            .map(diff::Largest::take)
            .filter(|data| !data.is_empty())
            .collect::<Vec<String>>(),
        _ => Vec::new(),
    };
    for text in texts {
        board.send(now, &text, out);
    }
}

/// The best levels of the book; `None` when nothing has changed since the last message.
fn partial(
    sent: &mut i64,
    market: &SyntheticMarket,
    contract: usize,
    levels: usize,
    now: Nanos,
) -> Option<String> {
    let contract = market.at(contract);
    let (spec, book, last) = (&contract.spec, &contract.book, contract.last_id());
    if last == *sent {
        return None;
    }
    let before = if *sent == 0 { last - 1 } else { *sent };
    *sent = last;
    let mut body = Vec::with_capacity(256 + 64 * levels);
    let mut json = Json::new(&mut body);
    let times = [now.to_millis(), contract.changed_at().to_millis()];
    diff::head(&mut json, spec, times, [before + 1, last, before]);
    json.raw(",\"b\":").levels(spec, book.bids().take(levels));
    json.raw(",\"a\":").levels(spec, book.asks().take(levels)).raw("}");
    String::from_utf8(body).ok()
}
