//! The order state machine and the request bytes. Sends nothing that is not approved and journaled.
