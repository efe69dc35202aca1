//! `securescan serve`: the service in the foreground until SIGTERM or Ctrl-C.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, complain};
use crate::app::Application;
use crate::config::Settings;
use crate::scanners::registry::Registry;
use crate::telemetry;

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  securescan serve
  SECURESCAN_API_KEY=… securescan serve --host 0.0.0.0 --port 8000

Without SECURESCAN_API_KEY and without keys in the database the API is open to everybody who can
reach it (dev mode); that is why the default address is 127.0.0.1.")]
pub(super) struct ServeArguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Number of processes: only 1. Queue, event log and limits live in one process per database.
    #[arg(long, default_value_t = 1)]
    workers: u32,
}

pub(super) fn run(arguments: ServeArguments, mut settings: Settings, registry: Registry) -> Exit {
    if arguments.workers != 1 {
        complain(&format!(
            "--workers {} is refused: exactly one process serves one database, since the queue of \
             scans, the event streams and the rate limits live in it. Start one process per \
             database and route by scan instead",
            arguments.workers
        ));
        return Exit::Usage;
    }
    raise_file_limit();
    settings.server.host = arguments.host;
    settings.server.port = arguments.port;
    let log = telemetry::start(&settings.log);
    let host = settings.server.host.clone();
    let system = actix_rt::System::new();
    system.block_on(async move {
        let application = match Application::build(settings, registry, &log) {
            Ok(application) => application,
            Err(error) => {
                complain(&telemetry::chain(&error));
                return Exit::Usage;
            }
        };
        let main_log = telemetry::named(&log, telemetry::MAIN_LOGGER);
        slog::info!(
            main_log,
            "listening on http://{host}:{}",
            application.port()
        );
        match application.run_until(stop_signal(), &log).await {
            Ok(()) => Exit::Done,
            Err(error) => {
                complain(&error.to_string());
                Exit::Incomplete
            }
        }
    })
}

/// Takes as many open files as the system allows: every event stream is one, and the usual soft
/// limit is 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that is not allowed the old limit holds, and accepting pauses when it is reached.
    let _raised = setrlimit(Resource::Nofile, raised).is_ok();
}

/// Waits for SIGTERM or SIGINT; the next one after that ends the process at once.
async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        // Without handlers the system's own way of ending stays in force.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    actix_rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[expect(clippy::exit, reason = "a second signal asks for just that")]
        std::process::exit(130);
    });
}
