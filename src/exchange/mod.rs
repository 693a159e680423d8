//! The simulated exchange: order flow and its server. Never needed by live trading.
