//! A neighbour for tests: hears, remembers, and gives out what it heard.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, Context, Handler, Message, Recipient};

/// What a [`Recorder`] has heard so far.
pub(crate) struct Heard<M>(Arc<Mutex<Vec<M>>>);

impl<M> Heard<M> {
    /// Takes everything heard since the last call.
    pub(crate) fn drain(&self) -> Vec<M> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hears messages of one type and answers with the type's default.
pub(crate) struct Recorder<M> {
    heard: Arc<Mutex<Vec<M>>>,
    kind: PhantomData<M>,
}

impl<M> Recorder<M>
where
    M: Message + Send + Unpin + 'static,
    M::Result: Default + Send + actix::dev::MessageResponse<Self, M>,
{
    /// Starts one on the current arbiter.
    pub(crate) fn start_pair() -> (Recipient<M>, Heard<M>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let recorder = Self {
            heard: Arc::clone(&heard),
            kind: PhantomData,
        };
        (recorder.start().recipient(), Heard(heard))
    }
}

impl<M: Unpin + 'static> Actor for Recorder<M> {
    type Context = Context<Self>;
}

impl<M> Handler<M> for Recorder<M>
where
    M: Message + Send + Unpin + 'static,
    M::Result: Default + actix::dev::MessageResponse<Self, M>,
{
    type Result = M::Result;

    fn handle(&mut self, message: M, _context: &mut Context<Self>) -> M::Result {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
        M::Result::default()
    }
}
