//! Questions with a deadline: busy is an answer, hanging is not.

use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, MailboxError, Message};

/// Why an actor gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Its mailbox is full, it is slow, or it is restarting: try again soon.
    #[error("busy")]
    Busy,
    /// It has stopped for good.
    #[error("stopped")]
    Gone,
}

/// Sends a message and waits for its answer, at most until the deadline.
///
/// # Errors
/// [`AskError::Busy`] when the answer did not come in time or a restart swallowed the question (the
/// address is still connected then), [`AskError::Gone`] when the actor has stopped.
pub async fn ask<A, M>(
    address: &Addr<A>,
    message: M,
    deadline: Duration,
) -> Result<M::Result, AskError>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    match tokio::time::timeout(deadline, address.send(message)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) if !address.connected() => Err(AskError::Gone),
        Ok(Err(MailboxError::Closed | MailboxError::Timeout)) | Err(_) => Err(AskError::Busy),
    }
}
