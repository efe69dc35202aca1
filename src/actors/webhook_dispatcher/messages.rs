//! What the webhook dispatcher understands.

use actix::Message;

/// Look at the database and do whatever is due.
///
/// From: whoever has written deliveries. Any number of nudges is as good as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Say how many deliveries wait.
///
/// From: the readiness probe. Answer: rows that are owed, as of the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "u64")]
pub struct Backlog;
