//! Pages of scans.

use std::collections::HashSet;

use diesel::connection::SimpleConnection;
use proptest::prelude::*;

use super::*;
use crate::storage::scans::{ScanCursor, ScanFilter};

fn ids(database: &Database, filter: &ScanFilter) -> Vec<String> {
    database
        .blocking(|conn| scans::list(conn, filter))
        .unwrap()
        .scans
        .into_iter()
        .map(|scan| scan.id.to_string())
        .collect()
}

/// A list is two queries; in one snapshot a scan cannot slip through between them.
#[test]
fn a_scan_that_starts_meanwhile_is_in_the_list() {
    let (_folder, database) = fresh();
    let writer = database.clone();
    let starter = std::thread::spawn(move || {
        for n in 0..200 {
            let id = format!("s{n}");
            writer
                .write_blocking(|conn| scans::insert(conn, &pending(&id), &at(0)))
                .unwrap();
            writer
                .write_blocking(|conn| scans::begin(conn, &ScanId::new(&id), &at(1)))
                .unwrap();
        }
    });
    let mut seen = 0;
    while !starter.is_finished() {
        let filter = ScanFilter::default();
        let page = database
            .read_blocking(|conn| scans::list(conn, &filter))
            .unwrap();
        assert!(
            page.scans.len() >= seen,
            "{} scans after {seen}",
            page.scans.len()
        );
        seen = page.scans.len();
    }
    starter.join().unwrap();
}

#[test]
fn newest_starts_come_first_and_those_that_never_started_last() {
    let (_folder, database) = fresh();
    database
        .write_blocking(|conn| {
            for id in ["p1", "old", "p2", "new", "tie1", "tie2"] {
                scans::insert(conn, &pending(id), &at(0))?;
            }
            for (id, when) in [("old", 1), ("new", 9), ("tie1", 5), ("tie2", 5)] {
                scans::begin(conn, &ScanId::new(id), &at(when))?;
            }
            Ok(())
        })
        .unwrap();
    let order = ["new", "tie2", "tie1", "old", "p2", "p1"];
    assert_eq!(ids(&database, &ScanFilter::default()), order);
    for size in 1..=7 {
        let mut filter = ScanFilter {
            limit: Some(size),
            ..ScanFilter::default()
        };
        let mut seen = Vec::new();
        loop {
            let page = database
                .blocking(|conn| scans::list(conn, &filter))
                .unwrap();
            seen.extend(page.scans.iter().map(|scan| scan.id.to_string()));
            let Some(next) = page.next else { break };
            filter.cursor = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(seen, order, "pages of {size}");
    }
    let running = ScanFilter {
        status: Some(ScanStatus::Running),
        limit: Some(2),
        ..ScanFilter::default()
    };
    assert_eq!(ids(&database, &running), ["new", "tie2"]);
}

#[test]
fn paging_sees_everything_once_while_scans_are_added() {
    let (_folder, database) = fresh();
    let add = |n: u32| {
        let id = ScanId::new(n.to_string());
        database
            .write_blocking(|conn| {
                scans::insert(conn, &pending(id.as_str()), &at(0))?;
                if !n.is_multiple_of(3) {
                    scans::begin(conn, &id, &at(n))?;
                }
                Ok(())
            })
            .unwrap();
    };
    (0..100).for_each(add);
    let mut filter = ScanFilter {
        limit: Some(7),
        ..ScanFilter::default()
    };
    let mut seen = Vec::new();
    for extra in 100.. {
        let page = database
            .blocking(|conn| scans::list(conn, &filter))
            .unwrap();
        seen.extend(page.scans.iter().map(|scan| scan.id.to_string()));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
        add(extra);
    }
    let unique: HashSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "nothing twice");
    for n in 0..100 {
        assert!(unique.contains(&n.to_string()), "{n} was passed over");
    }
}

#[test]
fn a_target_is_a_path_or_a_folder_and_never_a_pattern() {
    let (_folder, database) = fresh();
    for (id, target) in [
        ("exact", "/srv/a_b"),
        ("below", "/srv/a_b/c"),
        ("pattern", "/srv/aXb"),
        ("longer", "/srv/a_b2"),
        ("dot", "."),
    ] {
        let scan = Scan {
            target_path: target.into(),
            ..pending(id)
        };
        database
            .write_blocking(|conn| scans::insert(conn, &scan, &at(0)))
            .unwrap();
    }
    let of = |target: &str| {
        ids(
            &database,
            &ScanFilter {
                target: Some(target.into()),
                ..ScanFilter::default()
            },
        )
    };
    assert_eq!(of("/srv/a_b"), ["below", "exact"]);
    assert_eq!(of("/srv/a_b/"), ["below", "exact"]);
    assert_eq!(of("/").len(), 4);
    assert_eq!(of("."), ["dot"]);
    assert!(of("%").is_empty());
}

#[test]
fn an_unreadable_row_is_counted_and_hides_no_other() {
    let (_folder, database) = fresh();
    for id in ["a", "b", "c", "d", "e", "f"] {
        store(&database, id, &completed(Vec::new()));
    }
    database
        .write_blocking(|conn| {
            conn.batch_execute(
                "UPDATE scans SET status = 'odd' WHERE id = 'a';
                 UPDATE scans SET scan_types = '[\"odd\"]' WHERE id = 'b';
                 UPDATE scans SET scanners_skipped = '{' WHERE id = 'c';
                 UPDATE scans SET scanners_run = NULL, scanners_skipped = '', findings_count = NULL,
                     started_at = 'whenever', completed_at = '' WHERE id = 'd';",
            )?;
            Ok(())
        })
        .unwrap();
    let page = database
        .blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!(page.unreadable, 3);
    assert_eq!(page.scans.len(), 3);
    let one = database.blocking(|conn| scans::get(conn, &ScanId::new("a")));
    assert!(matches!(one, Err(StorageError::CorruptRow { .. })));
    let tolerated = database
        .blocking(|conn| scans::get(conn, &ScanId::new("d")))
        .unwrap()
        .unwrap();
    assert!(tolerated.scanners_run.is_empty() && tolerated.started_at.is_none());
}

#[test]
fn more_scans_than_sqlite_has_variables_can_be_listed() {
    let (_folder, database) = fresh();
    database
        .write_blocking(|conn| {
            conn.batch_execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 33000)
                 INSERT INTO scans (id, target_path, scan_types, status) SELECT i, '/t', '[]', 'completed' FROM n;
                 INSERT INTO scan_scanners VALUES ('33000', 0, 'x', 'completed', NULL, NULL, NULL, 0, 0, 0, 0, '{}');",
            )?;
            Ok(())
        })
        .unwrap();
    let page = database
        .blocking(|conn| scans::list(conn, &ScanFilter::default()))
        .unwrap();
    assert_eq!(page.scans.len(), 33_000);
    assert_eq!(page.scans[0].scanners.len(), 1);
}

proptest! {
    #[test]
    fn a_tampered_cursor_is_an_error_and_no_panic(text in ".{0,40}", flip in 0usize..20) {
        if let Ok(cursor) = text.parse::<ScanCursor>() {
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        if let Ok(cursor) = text.parse::<findings::FindingCursor>() {
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let good = super::super::cursor::encode('s', 7, "2026");
        let mut bytes = good.clone().into_bytes();
        let at = flip % bytes.len();
        bytes[at] = if bytes[at] == b'!' { b'?' } else { b'!' };
        let bad = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(bad.parse::<ScanCursor>(), Err(InvalidCursor));
        let cursor: ScanCursor = good.parse().unwrap();
        prop_assert_eq!(cursor.to_string(), good);
    }
}
