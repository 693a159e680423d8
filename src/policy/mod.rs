//! Prediction and ledger to wanted position; exits. Does not know the venue.
