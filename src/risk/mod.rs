//! The gate: ordered checks, first failure wins. It alone can build an approved order.
