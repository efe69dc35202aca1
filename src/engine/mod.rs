//! From what scanners say to what is stored: identity, deduplication, order, score, comparison.
//! Pure: no I/O, no clock, no SQL.

pub mod compare;
pub mod dedup;
pub mod fingerprint;
pub mod pipeline;
pub mod score;

pub use compare::{Comparison, compare};
pub use pipeline::assemble;
