//! The real application in this process, on a free port, with a home of its own.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use securescan::actors::guard;
use securescan::app::Application;
use securescan::config::{Environment, Settings};
use securescan::storage::{Database, DatabaseOptions, assert_consistent};
use securescan::telemetry;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::client::Client;
use super::tools::{self, Holder};

/// A running server; stopping it checks that it left everything in order.
pub struct TestApp {
    pub client: Client,
    /// Holds scans of the type [`tools::HELD`].
    pub holder: Arc<Holder>,
    pub home: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Deref for TestApp {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl TestApp {
    /// Starts with default settings.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with these variables set.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::at(&home, variables)
    }

    /// Starts on the database that a former one left in `home`.
    pub fn at(home: &Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        let path = home.path().to_str().expect("a UTF-8 path");
        let (registry, holder) = tools::registry(home.path());
        let mut all = vec![
            ("HOME", path),
            ("SECURESCAN_FINGERPRINT_BASE", "/"),
            ("SECURESCAN_SHUTDOWN_GRACE", "1"),
            ("SECURESCAN_MAX_CONCURRENT_SCANS", "2"),
        ];
        all.extend_from_slice(variables);
        let mut settings = Settings::from_environment(&Environment::of(all)).expect("settings");
        settings.server.port = 0;
        let (started, listening) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let log = telemetry::silent();
                let application =
                    Application::build(settings, registry, &log).expect("the application starts");
                started.send(application.port()).expect("the test waits");
                let stop = async {
                    // A test that has died wants an end as well.
                    let _asked = stopped.await.is_ok();
                };
                application
                    .run_until(stop, &log)
                    .await
                    .expect("the server ends well");
            });
        });
        let port = listening.recv().expect("the application starts");
        Self {
            client: Client::new(port),
            holder,
            home: Arc::clone(home),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn database(&self) -> PathBuf {
        self.home.path().join(".securescan/scans.db")
    }

    /// Stops the server in good order and returns its home.
    pub fn stop(mut self) -> Arc<TempDir> {
        self.shut_down();
        Arc::clone(&self.home)
    }

    fn shut_down(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        self.holder.open();
        let _told = stop.send(()).is_ok();
        let joined = self.thread.take().expect("started").join();
        if std::thread::panicking() {
            return;
        }
        assert!(joined.is_ok(), "the server's thread panicked");
        assert_eq!(guard::panics(), 0, "a handler panicked");
        let database = Database::open(&DatabaseOptions::at(self.database())).expect("a database");
        database
            .blocking(assert_consistent)
            .expect("a sound database");
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shut_down();
    }
}
