//! What is asked of the venue and what is told of its answers.

mod key;
mod listed;
