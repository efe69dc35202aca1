//! Several writers, locked, full and foreign files, and the process lock.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::*;
use crate::storage::scans::ScanFilter;

#[test]
fn many_writers_wait_for_each_other() {
    let (_folder, database) = fresh();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let database = &database;
            scope.spawn(move || {
                for n in 0..25 {
                    store(
                        database,
                        &format!("{thread}-{n}"),
                        &completed(vec![finding(&format!("{thread}-{n}"), n, Severity::Low)]),
                    );
                }
            });
        }
    });
    let page = database
        .blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!(page.scans.len(), 200);
    sound(&database);
}

#[tokio::test]
async fn steps_run_off_the_calling_thread_and_a_panic_is_an_error() {
    let (_folder, database) = fresh();
    let caller = std::thread::current().id();
    let elsewhere = database
        .run(move |_| Ok(std::thread::current().id() != caller))
        .await
        .unwrap();
    assert!(elsewhere);
    let died: Result<(), _> = database
        .write(|conn| {
            scans::insert(conn, &pending("a"), &at(0))?;
            panic!("in the middle");
        })
        .await;
    assert!(matches!(died, Err(StorageError::Interrupted)));
    // More than there are connections: none is lost to the panic.
    for _ in 0..8 {
        let gone = database
            .write(|conn| scans::get(conn, &ScanId::new("a")))
            .await
            .unwrap();
        assert_eq!(gone, None);
    }
}

#[tokio::test]
async fn a_reader_sees_one_state_while_others_write() {
    let (_folder, database) = fresh();
    let writer = database.clone();
    let (before, after) = database
        .read(move |conn| {
            let count = |conn: &mut SqliteConnection| {
                scans::list(conn, &ScanFilter::default()).map(|page| page.scans.len())
            };
            let before = count(conn)?;
            store(&writer, "a", &completed(Vec::new()));
            Ok((before, count(conn)?))
        })
        .await
        .unwrap();
    assert_eq!((before, after), (0, 0));
    let page = database
        .read_blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!(page.scans.len(), 1);
}

#[test]
fn a_database_locked_by_another_program_is_busy_within_the_timeout() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scans.db");
    let impatient = DatabaseOptions {
        busy_timeout: Duration::from_millis(100),
        ..options(&path)
    };
    let database = Database::open(&impatient).unwrap();
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let refused = database.write_blocking(|conn| scans::insert(conn, &pending("a"), &at(0)));
    assert!(matches!(refused, Err(StorageError::Busy)), "{refused:?}");
    assert!(start.elapsed() >= Duration::from_millis(90));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(matches!(
        database.blocking(health::writable),
        Err(StorageError::Busy)
    ));
    // Readers do not care, and neither does a second start.
    database.blocking(health::ping).unwrap();
    Database::open(&impatient).unwrap();
    other.batch_execute("ROLLBACK").unwrap();
    database.blocking(health::writable).unwrap();
}

#[test]
fn an_exclusively_locked_file_cannot_be_opened_and_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scans.db");
    drop(Database::open(&options(&path)).unwrap());
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    // The pool closes its connections in its own time: wait for that.
    other
        .batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE scans SET id = id;",
        )
        .unwrap();
    let refused = Database::open(&DatabaseOptions {
        busy_timeout: Duration::from_millis(50),
        ..options(&path)
    });
    assert!(matches!(refused, Err(StorageError::Busy)), "{refused:?}");
}

#[test]
fn a_full_disk_fails_the_write_and_leaves_the_database_readable() {
    let folder = TempDir::new().unwrap();
    // One connection: the limit below holds for the connection it is set on.
    let database = Database::open(&DatabaseOptions {
        max_connections: 1,
        ..options(&folder.path().join("scans.db"))
    })
    .unwrap();
    store(&database, "before", &completed(Vec::new()));
    let id = ScanId::new("a");
    let outcome = completed((0..5000).map(|n| finding("a", n, Severity::Low)).collect());
    database
        .blocking(|conn| {
            scans::insert(conn, &pending("a"), &at(0))?;
            scans::begin(conn, &id, &at(1))?;
            Ok(conn.batch_execute("PRAGMA max_page_count = 60")?)
        })
        .unwrap();
    let failed = database.write_blocking(|conn| scans::finish(conn, &id, &outcome));
    assert!(matches!(failed, Err(StorageError::DiskFull)), "{failed:?}");
    let scan = database
        .blocking(|conn| scans::get(conn, &id))
        .unwrap()
        .unwrap();
    assert_eq!(scan.status, ScanStatus::Running);
    sound(&database);
    database
        .blocking(|conn| Ok(conn.batch_execute("PRAGMA max_page_count = 1073741823")?))
        .unwrap();
    // Room again: the same outcome goes in.
    assert!(
        database
            .write_blocking(|conn| scans::finish(conn, &id, &outcome))
            .unwrap()
    );
    sound(&database);
}

#[test]
fn files_of_others_are_refused_by_name_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, but long enough to look at ".repeat(50),
    )
    .unwrap();
    let refused = Database::open(&options(&text)).unwrap_err();
    assert!(
        matches!(refused, StorageError::Foreign { .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("notes.txt"));
    let other = folder.path().join("other.db");
    SqliteConnection::establish(other.to_str().unwrap())
        .unwrap()
        .batch_execute("CREATE TABLE scans (page INTEGER)")
        .unwrap();
    let before = std::fs::read(&other).unwrap();
    let refused = Database::open(&options(&other)).unwrap_err();
    assert!(
        matches!(refused, StorageError::Foreign { .. }),
        "{refused:?}"
    );
    assert_eq!(std::fs::read(&other).unwrap(), before);
    let is_folder = Database::open(&options(folder.path())).unwrap_err();
    assert!(
        matches!(is_folder, StorageError::Unavailable { .. }),
        "{is_folder:?}"
    );
}

#[test]
fn folders_and_file_are_private() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b/scans.db");
    let database = Database::open(&options(&path)).unwrap();
    store(&database, "a", &completed(Vec::new()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&folder.path().join("a/b/scans.db-wal")), 0o600);
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scans.db");
    let database = Database::open(&options(&path)).unwrap();
    let outcome = completed((0..2000).map(|n| finding("a", n, Severity::Low)).collect());
    store(&database, "a", &outcome);
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    for byte in &mut bytes[middle..] {
        *byte = 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let read = Database::open(&options(&path))
        .and_then(|database| database.blocking(|conn| findings::all(conn, &ScanId::new("a"))));
    assert!(matches!(read, Err(StorageError::Corrupt(_))), "{read:?}");
}

#[test]
fn a_database_has_one_server_whatever_name_it_goes_by() {
    let folder = TempDir::new().unwrap();
    let real = folder.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let path = real.join("scans.db");
    std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(&path, folder.path().join("file-link.db")).unwrap();
    let held = ProcessLock::acquire(&path, &at(1)).unwrap();
    assert_eq!(held.path().file_name().unwrap(), "scans.db.lock");
    for name in ["real/scans.db", "link/scans.db", "file-link.db"] {
        let refused = ProcessLock::acquire(&folder.path().join(name), &at(2)).unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, LockError::Held { .. }), "{name}: {text}");
        assert!(
            text.contains(&format!(
                "process {}, started 2026-11-23T12:00:01.500001",
                std::process::id()
            )),
            "{text}"
        );
    }
    drop(held);
    ProcessLock::acquire(&path, &at(3)).unwrap();
}

#[test]
fn a_lock_that_cannot_be_made_says_where_and_why() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = ProcessLock::acquire(&folder.path().join("file/scans.db"), &at(1)).unwrap_err();
    assert!(error.to_string().contains("scans.db"), "{error}");
    assert!(matches!(error, LockError::Io { .. }));
}
