//! A plain HTTP client: what a user's program would send, over a real socket.

use std::net::SocketAddr;

use actix_web::http::Method;
use serde_json::{Value, json};

use super::{DEADLINE, wait_until};

/// Sends requests to one server.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: SocketAddr,
    /// Sent as `X-API-Key` when there is one.
    pub key: Option<String>,
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a UTF-8 body")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {:?}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// Asserts status and exact body.
    #[track_caller]
    pub fn assert(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.text().as_str()), (status, body));
    }
}

impl Client {
    pub fn new(port: u16) -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            key: None,
        }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .await
            .expect("an answer")
    }

    /// As [`Self::send`]; none when there is no connection or it breaks.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Option<Answer> {
        let client = awc::Client::builder()
            .timeout(DEADLINE)
            .disable_redirects()
            .no_default_headers()
            .finish();
        let mut request = client.request(method, format!("http://{}{path}", self.address));
        if let Some(key) = &self.key {
            request = request.insert_header(("x-api-key", key.as_str()));
        }
        for header in headers {
            request = request.append_header(*header);
        }
        let sent = match body {
            Some(body) => request.send_body(body).await,
            None => request.send().await,
        };
        let mut response = sent.ok()?;
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response
            .body()
            .limit(256 * 1024 * 1024)
            .await
            .ok()?
            .to_vec();
        Some(Answer {
            status: response.status().as_u16(),
            headers,
            body,
        })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        self.send(Method::POST, path, &[], None).await
    }

    pub async fn post_text(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, Some(body.into()))
            .await
    }

    /// Starts a scan and returns its id.
    pub async fn start(&self, target: &str, types: &[&str]) -> String {
        let body = json!({"target_path": target, "scan_types": types});
        let answer = self.post_text("/api/v1/scans", body.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub async fn scan(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/scans/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until a scan has this state.
    pub async fn wait_status(&self, id: &str, status: &str) -> Value {
        wait_until(&format!("scan {id} to be {status}"), async || {
            let scan = self.scan(id).await;
            let now = scan["status"].as_str().unwrap_or_default().to_owned();
            let ended = ["completed", "failed", "cancelled"].contains(&now.as_str());
            assert!(now == status || !ended, "wanted {status}: {scan}");
            (now == status).then_some(scan)
        })
        .await
    }

    /// Waits until a scan has ended in whatever way.
    pub async fn wait_ended(&self, id: &str) -> Value {
        wait_until(&format!("scan {id} to end"), async || {
            let scan = self.scan(id).await;
            (!["pending", "running"].contains(&scan["status"].as_str()?)).then_some(scan)
        })
        .await
    }

    /// Scans and waits for the end.
    pub async fn scanned(&self, target: &str, types: &[&str]) -> String {
        let id = self.start(target, types).await;
        self.wait_status(&id, "completed").await;
        id
    }

    pub async fn findings(&self, id: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/scans/{id}/findings")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_array().expect("a list").clone()
    }
}
