//! A client of event streams on a plain socket, so that nothing between hides what the server does.

use actix_rt::net::TcpStream;
use actix_rt::time::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::DEADLINE;
use super::client::Client;

/// One event as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: Option<u64>,
    pub name: String,
    pub data: String,
}

/// An open stream.
pub struct Stream {
    socket: TcpStream,
    pub status: u16,
    pub head: String,
    raw: Vec<u8>,
    /// Decoded text that is no complete block yet.
    text: String,
    over: bool,
}

impl Stream {
    /// Connects and reads the head of the response.
    pub async fn open(client: &Client, scan: &str, headers: &[(&str, &str)]) -> Self {
        Self::at(client, &format!("/api/v1/scans/{scan}/events"), headers).await
    }

    pub async fn at(client: &Client, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut socket = TcpStream::connect(client.address)
            .await
            .expect("a connection");
        let mut request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        socket
            .write_all(request.as_bytes())
            .await
            .expect("a request");
        let mut stream = Self {
            socket,
            status: 0,
            head: String::new(),
            raw: Vec::new(),
            text: String::new(),
            over: false,
        };
        while !stream.take_head() {
            assert!(
                stream.receive().await,
                "closed before the head was complete"
            );
        }
        stream
    }

    fn take_head(&mut self) -> bool {
        let Some(end) = self.raw.windows(4).position(|four| four == b"\r\n\r\n") else {
            return false;
        };
        let rest = self.raw.split_off(end + 4);
        self.head = String::from_utf8(std::mem::replace(&mut self.raw, rest)).expect("a head");
        self.head.make_ascii_lowercase();
        self.status = self
            .head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number");
        true
    }

    /// Reads more; false at the end of the connection.
    async fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 16 * 1024];
        let read = timeout(DEADLINE, self.socket.read(&mut buffer))
            .await
            .expect("the stream goes on or ends")
            .unwrap_or(0);
        self.raw.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Takes complete chunks out of what was received.
    fn decode(&mut self) {
        loop {
            let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") else {
                return;
            };
            let size = std::str::from_utf8(&self.raw[..end]).expect("a chunk size");
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            let whole = end + 2 + size + 2;
            if self.raw.len() < whole {
                return;
            }
            let chunk = &self.raw[end + 2..end + 2 + size];
            self.text
                .push_str(std::str::from_utf8(chunk).expect("UTF-8 text"));
            self.raw.drain(..whole);
            if size == 0 {
                self.over = true;
                return;
            }
        }
    }

    /// Returns the next event; none when the server has ended the stream as HTTP prescribes.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            if self.over {
                return None;
            }
            self.decode();
            if self.text.contains("\n\n") || self.over {
                continue;
            }
            assert!(
                self.receive().await,
                "the connection broke without an end of the stream"
            );
        }
    }

    /// Reads all events up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// Reads one block; none for comments and `retry:`.
fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::to_owned)
    };
    Some(Event {
        id: field("id").map(|id| id.parse().expect("a number")),
        name: field("event")?,
        data: field("data").unwrap_or_default(),
    })
}

/// Returns the names of events, in order.
pub fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}
