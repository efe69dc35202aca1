//! The hub by messages, without HTTP.

use actix::Addr;
use futures_util::StreamExt;

use super::*;
use crate::actors::ask::ask;
use crate::telemetry::silent;

const SECOND: Duration = Duration::from_secs(1);

fn hub() -> Addr<EventHub> {
    let hub = EventHub::new(silent()).unwrap();
    actix::Supervisor::start(|_| hub)
}

fn scan() -> ScanId {
    ScanId::new("s-1")
}

async fn publish(hub: &Addr<EventHub>, event: ScanEvent) {
    ask(
        hub,
        Publish {
            scan_id: scan(),
            event,
        },
        SECOND,
    )
    .await
    .unwrap();
}

fn step(n: usize) -> ScanEvent {
    ScanEvent::ScannerStart {
        scanner: n.to_string(),
    }
}

async fn listen(hub: &Addr<EventHub>, after: Option<u64>) -> Result<EventStream, SubscribeRefused> {
    ask(
        hub,
        Subscribe {
            scan_id: scan(),
            after,
            ended: false,
        },
        SECOND,
    )
    .await
    .unwrap()
}

async fn text(stream: EventStream) -> String {
    let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap()).collect().await;
    String::from_utf8(chunks.concat()).unwrap()
}

#[actix::test]
async fn a_late_subscriber_reads_the_whole_sequence() {
    let hub = hub();
    publish(&hub, step(1)).await;
    publish(&hub, ScanEvent::Cancelled).await;
    insta::assert_snapshot!(text(listen(&hub, None).await.unwrap()).await, @r#"
    retry: 2000

    id: 1
    event: scanner.start
    data: {"scanner": "1"}

    id: 2
    event: scan.cancelled
    data: {}
    "#);
}

#[actix::test]
async fn a_subscriber_that_comes_back_reads_on_where_it_stopped() {
    let hub = hub();
    for n in 1..=3 {
        publish(&hub, step(n)).await;
    }
    publish(&hub, ScanEvent::Cancelled).await;
    let rest = text(listen(&hub, Some(2)).await.unwrap()).await;
    assert!(!rest.contains("id: 2\n") && rest.contains("id: 3\n") && rest.contains("id: 4\n"));
    assert_eq!(
        listen(&hub, Some(4)).await.unwrap_err(),
        SubscribeRefused::AllSeen
    );
}

#[actix::test]
async fn an_id_from_another_life_of_the_server_starts_over() {
    let hub = hub();
    publish(&hub, step(1)).await;
    let stream = listen(&hub, Some(99)).await.unwrap();
    publish(&hub, ScanEvent::Cancelled).await;
    assert!(text(stream).await.contains("id: 1\n"));
}

#[actix::test]
async fn a_failure_that_a_restart_found_is_new_to_those_who_come_back() {
    let hub = hub();
    publish(
        &hub,
        ScanEvent::Failed {
            error: "interrupted".into(),
        },
    )
    .await;
    let told = text(listen(&hub, Some(9)).await.unwrap()).await;
    assert!(told.contains("event: scan.failed"), "{told}");
}

#[actix::test]
async fn nothing_follows_a_terminal_event() {
    let hub = hub();
    publish(&hub, ScanEvent::Cancelled).await;
    publish(&hub, step(1)).await;
    publish(
        &hub,
        ScanEvent::Failed {
            error: "late".into(),
        },
    )
    .await;
    let all = text(listen(&hub, None).await.unwrap()).await;
    assert_eq!(all.matches("event: ").count(), 1, "{all}");
}

#[actix::test]
async fn subscribers_that_never_read_delay_nobody_and_lose_only_old_events() {
    let hub = hub();
    let mut lazy = listen(&hub, None).await.unwrap();
    let eager = actix::spawn(text(listen(&hub, None).await.unwrap()));
    for n in 0..1_500 {
        publish(&hub, step(n)).await;
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    publish(&hub, ScanEvent::Cancelled).await;
    assert!(
        eager
            .await
            .unwrap()
            .ends_with("event: scan.cancelled\ndata: {}\n\n")
    );
    assert_eq!(lazy.next().await.unwrap().unwrap(), "retry: 2000\n\n");
    let late = text(lazy).await;
    assert_eq!(late.matches("event: ").count(), 1_000);
    assert!(late.ends_with("event: scan.cancelled\ndata: {}\n\n"));
}

#[actix::test]
async fn a_quiet_stream_is_kept_open_by_comments() {
    tokio::time::pause();
    let hub = hub();
    let mut stream = listen(&hub, None).await.unwrap();
    let started = tokio::time::Instant::now();
    stream.next().await.unwrap().unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), ": keepalive\n\n");
    assert_eq!(stream.next().await.unwrap().unwrap(), ": keepalive\n\n");
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[actix::test]
async fn an_ended_scan_is_forgotten_after_half_a_minute() {
    tokio::time::pause();
    let hub = hub();
    publish(&hub, ScanEvent::Cancelled).await;
    let again = Subscribe {
        scan_id: scan(),
        after: None,
        ended: true,
    };
    assert!(ask(&hub, again.clone(), SECOND).await.unwrap().is_ok());
    tokio::time::sleep(REMEMBERED_FOR + SECOND).await;
    assert_eq!(
        ask(&hub, again, SECOND).await.unwrap().unwrap_err(),
        SubscribeRefused::Forgotten
    );
}

#[actix::test]
async fn closing_ends_streams_that_wait() {
    let hub = hub();
    let stream = actix::spawn(text(listen(&hub, None).await.unwrap()));
    ask(&hub, CloseStreams, SECOND).await.unwrap();
    assert_eq!(stream.await.unwrap(), "retry: 2000\n\n");
    assert_eq!(
        listen(&hub, None).await.unwrap_err(),
        SubscribeRefused::Closing
    );
}

#[actix::test]
async fn a_flooded_hub_leaves_its_neighbours_air() {
    let hub = hub();
    let (neighbour, heard) = crate::actors::recorder::Recorder::<Publish>::start_pair();
    let mut flood = Vec::new();
    for n in 0..4_000 {
        flood.push(hub.send(Publish {
            scan_id: scan(),
            event: step(n),
        }));
    }
    let flooded = futures_util::future::join_all(flood);
    let asked = neighbour.send(Publish {
        scan_id: scan(),
        event: ScanEvent::Cancelled,
    });
    // Whichever ends first wins: the neighbour must not wait for the flood to drain.
    match futures_util::future::select(Box::pin(asked), Box::pin(flooded)).await {
        futures_util::future::Either::Left(_) => assert_eq!(heard.drain().len(), 1),
        futures_util::future::Either::Right(_) => panic!("the flood was served first"),
    }
}
