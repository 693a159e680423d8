//! What happens to a wallet apart from trading: somebody takes money out, or a fee is taken that
//! nobody is told of.

use super::Accounts;
use super::ledger::{Cause, Place, Posting};
use super::notice::News;
use crate::base::{Money, Nanos};

impl Accounts {
    /// Takes an amount out of an account's wallet, and tells.
    pub fn withdraw(&mut self, account: usize, amount: Money, now: Nanos) {
        self.post_out(account, None, amount, (Place::Outside, Cause::Deposit), now);
        let what = News::Account {
            reason: "WITHDRAW",
            contract: None,
            wallet: self.wallet(account),
            cross_wallet: self.cross_wallet(account),
            change: -amount,
            positions: Vec::new(),
        };
        self.tell(account, now, what);
    }

    /// Takes a fee that no stream tells of: it stands in the list of income alone.
    pub fn take_hidden_fee(&mut self, account: usize, contract: usize, fee: Money, now: Nanos) {
        let to = (Place::Fees, Cause::Commission);
        self.post_out(account, Some(contract), fee, to, now);
    }

    fn post_out(
        &mut self,
        account: usize,
        contract: Option<usize>,
        amount: Money,
        (to, cause): (Place, Cause),
        now: Nanos,
    ) {
        let from = Place::Wallet(account);
        self.ledger.post(Posting {
            id: 0,
            ts: now,
            from,
            to,
            amount,
            cause,
            contract,
            trade_id: 0,
        });
        self.list[account].updated = now;
    }
}
