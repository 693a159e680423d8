//! One integration crate; a sentence per module.
