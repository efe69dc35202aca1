//! What our actors rely on in actix 0.13, as opposed to what one would think: an upgrade that
//! changes one of these says so here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::dev::SendError;
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, Context, Handler, MailboxError, Message,
    ResponseActFuture, Supervised, Supervisor, WrapFuture,
};
use securescan::actors::{AskError, ask};

const SOON: Duration = Duration::from_secs(5);

#[derive(Message)]
#[rtype(result = "usize")]
struct Count;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

#[derive(Message)]
#[rtype(result = "()")]
struct Hang;

/// Counts questions, and (for everybody to see) how often it started and was dropped.
#[derive(Default)]
struct Counter {
    counted: usize,
    started: Arc<AtomicUsize>,
    _dropped: Dropped,
    mailbox: Option<usize>,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.started.fetch_add(1, Ordering::SeqCst);
        if let Some(mailbox) = self.mailbox {
            context.set_mailbox_capacity(mailbox);
        }
    }
}

impl Supervised for Counter {}

#[derive(Default)]
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handler<Count> for Counter {
    type Result = usize;

    fn handle(&mut self, _message: Count, _context: &mut Self::Context) -> usize {
        self.counted += 1;
        self.counted
    }
}

impl Handler<Panic> for Counter {
    type Result = ();

    fn handle(&mut self, _message: Panic, _context: &mut Self::Context) {
        panic!("asked for");
    }
}

impl Handler<Stop> for Counter {
    type Result = ();

    fn handle(&mut self, _message: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

impl Handler<Hang> for Counter {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _message: Hang, _context: &mut Self::Context) -> Self::Result {
        Box::pin(std::future::pending().into_actor(self).map(|(), _, _| ()))
    }
}

/// `guard::step` stops the context after a panic: that is what makes it a restart.
#[actix::test]
async fn a_supervisor_restarts_an_actor_that_stopped_with_its_fields() {
    let started = Arc::new(AtomicUsize::new(0));
    let counter = Counter {
        started: Arc::clone(&started),
        ..Counter::default()
    };
    let address = Supervisor::start(|_| counter);
    assert_eq!(address.send(Count).await, Ok(1));
    address.send(Stop).await.unwrap();
    // The fields are those of before: `restarting` must mark them cold itself.
    assert_eq!(address.send(Count).await, Ok(2));
    assert_eq!(started.load(Ordering::SeqCst), 2);
    assert!(address.connected());
}

/// The reason why `guard` catches the panic before actix sees it.
#[test]
fn a_panic_closes_the_address_for_good_in_spite_of_the_supervisor() {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        actix::System::new().block_on(async {
            let arbiter = actix::Arbiter::new();
            let address = Supervisor::start_in_arbiter(&arbiter.handle(), |_| Counter::default());
            assert_eq!(address.send(Count).await, Ok(1));
            let _lost = address.send(Panic).await.is_err();
            let after = address.send(Count).await;
            assert!(matches!(after, Err(MailboxError::Closed)), "{after:?}");
            assert!(!address.connected());
        });
    }));
    assert!(ended.is_ok());
}

/// `ask` calls the first `Busy` and the second `Gone`.
#[actix::test]
async fn a_restart_swallows_questions_in_flight_but_the_address_stays() {
    let address = Supervisor::start(|_| Counter::default());
    let (hung, _) = futures_util::future::join(ask(&address, Hang, SOON), async {
        actix_rt::task::yield_now().await;
        address.send(Stop).await
    })
    .await;
    assert_eq!(hung, Err(AskError::Busy));
    assert_eq!(ask(&address, Count, SOON).await, Ok(1));

    let mortal = Counter::default().start();
    mortal.send(Stop).await.unwrap();
    assert_eq!(ask(&mortal, Count, SOON).await, Err(AskError::Gone));
}

#[actix::test]
async fn try_send_refuses_when_the_mailbox_is_full_and_gives_the_message_back() {
    let counter = Counter {
        mailbox: Some(2),
        ..Counter::default()
    };
    let address = counter.start();
    // Let it start and set its capacity.
    assert_eq!(address.send(Count).await, Ok(1));
    let refused = (0..100).filter(|_| matches!(address.try_send(Count), Err(SendError::Full(_))));
    assert!(refused.count() > 90);
}

/// So every question has a deadline.
#[actix::test]
async fn send_waits_when_the_mailbox_is_full() {
    tokio::time::pause();
    let counter = Counter {
        mailbox: Some(1),
        ..Counter::default()
    };
    let address: Addr<Counter> = counter.start();
    assert_eq!(address.send(Count).await, Ok(1));
    while address.try_send(Hang).is_ok() {}
    assert_eq!(
        ask(&address, Hang, Duration::from_millis(20)).await,
        Err(AskError::Busy)
    );
}

/// The worker says its last word from `Drop`: it runs after a stop as well as after a panic.
#[test]
fn an_actor_is_dropped_after_a_panic_too() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counter = Counter {
        _dropped: Dropped(Arc::clone(&dropped)),
        ..Counter::default()
    };
    actix::System::new().block_on(async {
        let arbiter = actix::Arbiter::new();
        let address = Counter::start_in_arbiter(&arbiter.handle(), |_| counter);
        let _lost = address.send(Panic).await.is_err();
        crate::support::wait_for("the drop", || {
            (dropped.load(Ordering::SeqCst) == 1).then_some(())
        });
    });
}
