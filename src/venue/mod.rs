//! Connections, captures and the paper venue. No trading logic.
