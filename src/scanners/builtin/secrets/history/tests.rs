//! Histories of repositories made for the test.

use super::super::samples;
use super::*;
use crate::scanners::{Detector, Entry, Piece, ScannerSettings};

fn engine() -> Secrets {
    Secrets::new(&ScannerSettings::default()).unwrap()
}

/// Writes a repository whose second commit takes the secret of the first away again.
fn repository_with_history(folder: &std::path::Path, secret: &str) {
    let repository = gix::init(folder).unwrap();
    let tree = |content: &str| {
        let blob = repository.write_blob(content).unwrap().detach();
        let entry = gix::objs::tree::Entry {
            mode: gix::objs::tree::EntryKind::Blob.into(),
            filename: "app.py".into(),
            oid: blob,
        };
        repository
            .write_object(gix::objs::Tree {
                entries: vec![entry],
            })
            .unwrap()
            .detach()
    };
    let author = gix::actor::SignatureRef {
        name: "A".into(),
        email: "a@b.c".into(),
        time: "1700000000 +0000",
    };
    let first = repository
        .commit_as(
            author,
            author,
            "HEAD",
            "one",
            tree(&format!("# first line\nt = \"{secret}\"\n")),
            gix::commit::NO_PARENT_IDS,
        )
        .unwrap()
        .detach();
    repository
        .commit_as(author, author, "HEAD", "two", tree("t = 1\n"), [first])
        .unwrap();
}

fn context(root: &std::path::Path) -> ScanContext {
    let target = crate::scanners::Target {
        shown: ".".to_owned(),
        root: root.canonicalize().unwrap(),
        is_directory: true,
    };
    ScanContext {
        target: Arc::new(target),
        cancel: crate::scanners::CancelFlag::default(),
        settings: Arc::new(ScannerSettings::default()),
    }
}

#[test]
fn a_secret_taken_away_is_found_in_the_history_with_commit_path_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let token = samples::filled("ghp_{base62:36}", "history");
    repository_with_history(folder.path(), &token);
    let finish = engine().finish(&context(folder.path())).unwrap();
    assert_eq!(finish.findings.len(), 1, "{finish:?}");
    let finding = &finish.findings[0];
    assert_eq!(
        finding.rule_id.as_deref(),
        Some("secrets/git-history-github-token")
    );
    assert_eq!(finding.title, "GitHub Token found in git history");
    assert_eq!(
        (finding.file_path.as_deref(), finding.line_start),
        (Some("app.py"), Some(2))
    );
    assert_eq!(finding.metadata["author_date"], "2023-11-14T22:13:20Z");
    assert_eq!(finding.metadata["commit"].as_str().unwrap().len(), 40);

    // Still in the tree: the tree's finding is enough.
    let secrets = engine();
    let text = format!("t = \"{token}\"");
    let entry = Entry {
        path: folder.path(),
        relative: "app.py",
        name: "app.py",
        is_directory: false,
        size: 0,
    };
    secrets.examine(
        &Piece {
            entry: &entry,
            bytes: text.as_bytes(),
            owned: (0, text.len()),
            first_line: 1,
            is_whole: true,
        },
        &mut Vec::new(),
    );
    assert_eq!(
        secrets.finish(&context(folder.path())).unwrap().findings,
        []
    );
}

#[test]
fn a_broken_or_empty_repository_is_recorded_and_never_fails() {
    let empty = tempfile::tempdir().unwrap();
    gix::init(empty.path()).unwrap();
    assert_eq!(
        engine().finish(&context(empty.path())).unwrap().findings,
        []
    );
    let broken = tempfile::tempdir().unwrap();
    std::fs::create_dir(broken.path().join(".git")).unwrap();
    std::fs::write(broken.path().join(".git/HEAD"), "nonsense").unwrap();
    let finish = engine().finish(&context(broken.path())).unwrap();
    assert_eq!(
        finish.coverage.skipped.get("git-history-unreadable"),
        Some(&1)
    );
}

/// A folder of many repositories is what people keep their code in.
#[test]
fn histories_of_repositories_inside_the_target_are_searched_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let token = samples::filled("glpat-{base62:20}", "nested");
    repository_with_history(&folder.path().join("code/shop"), &token);
    let main = folder.path().join("code/shop/.git");
    std::fs::create_dir_all(folder.path().join("link")).unwrap();
    std::fs::write(
        folder.path().join("link/.git"),
        format!("gitdir: {}\n", main.display()),
    )
    .unwrap();
    let detectors: [Arc<dyn Detector>; 1] = [Arc::new(engine())];
    let reports = Mutex::new(Vec::new());
    crate::scanners::walk::run(&detectors, &context(folder.path()), &|_, report| {
        reports.lock().unwrap().push(report);
    });
    let reports = reports.into_inner().unwrap();
    let found: Vec<_> = reports[0]
        .findings
        .iter()
        .map(|finding| finding.file_path.as_deref().unwrap())
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("code/shop/"), "{found:?}");
}

#[test]
fn a_bare_repository_is_searched_like_any_other() {
    let bare = tempfile::tempdir().unwrap();
    gix::init_bare(bare.path()).unwrap();
    let finish = engine().finish(&context(bare.path())).unwrap();
    assert_eq!(finish.coverage.skipped, [].into());
}

#[test]
fn a_repository_that_leads_out_of_the_allowed_folders_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    gix::init(base.join("outside")).unwrap();
    std::fs::create_dir_all(base.join("roots/target")).unwrap();
    let link = format!("gitdir: {}\n", base.join("outside/.git").display());
    std::fs::write(base.join("roots/target/.git"), link).unwrap();
    let mut context = context(&base.join("roots/target"));
    let skipped = |context: &ScanContext| engine().finish(context).unwrap().coverage.skipped;
    assert_eq!(skipped(&context).get("git-history-outside-roots"), None);
    let mut settings = (*context.settings).clone();
    settings.confined_to = vec![base.join("roots")];
    context.settings = Arc::new(settings);
    assert_eq!(skipped(&context).get("git-history-outside-roots"), Some(&1));
}
