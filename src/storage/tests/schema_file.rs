//! `schema.rs` against a migrated database.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};

use super::*;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    tab: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Integer)]
    required: i32,
    #[diesel(sql_type = Integer)]
    pk: i32,
}

/// Set `UPDATE=1` to write the file anew.
#[test]
fn schema_rs_is_what_the_migrations_make() {
    let (_folder, database) = fresh();
    let (columns, references) = database
        .blocking(|conn| {
            let columns: Vec<Column> = diesel::sql_query(
                "SELECT t.name AS tab, c.name AS name, c.type AS kind, c.\"notnull\" AS required, c.pk AS pk
                 FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'
                 ORDER BY t.name, c.cid",
            )
            .load(conn)?;
            let references: Vec<Column> = diesel::sql_query(
                "SELECT t.name AS tab, k.\"table\" AS name, k.\"from\" AS kind, 0 AS required, 0 AS pk
                 FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k
                 WHERE t.type = 'table' ORDER BY t.name, k.\"table\"",
            )
            .load(conn)?;
            Ok((columns, references))
        })
        .unwrap();
    let written = render(&columns, &references);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage/schema.rs");
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of tests that write generated files"
    )]
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, std::fs::read_to_string(path).unwrap());
}

fn render(columns: &[Column], references: &[Column]) -> String {
    let mut text = "//! The tables, as the migrations leave them. A test compares this file with a migrated database.\n".to_owned();
    let tables: Vec<&[Column]> = columns.chunk_by(|a, b| a.tab == b.tab).collect();
    for table in &tables {
        let mut key: Vec<&Column> = table.iter().filter(|column| column.pk > 0).collect();
        key.sort_by_key(|column| column.pk);
        let key: Vec<&str> = key.iter().map(|column| column.name.as_str()).collect();
        text += &format!(
            "\ndiesel::table! {{\n    {} ({}) {{\n",
            table[0].tab,
            key.join(", ")
        );
        for column in *table {
            // SQLite's INTEGER has 64 bits, whatever diesel's own tool says.
            let kind = match column.kind.as_str() {
                "TEXT" => "Text",
                "INTEGER" => "BigInt",
                "REAL" => "Double",
                other => panic!("a column of type {other}"),
            };
            let name = if column.name == "type" {
                text += "        #[sql_name = \"type\"]\n";
                "type_"
            } else {
                &column.name
            };
            text += &if column.required == 0 {
                format!("        {name} -> Nullable<{kind}>,\n")
            } else {
                format!("        {name} -> {kind},\n")
            };
        }
        text += "    }\n}\n";
    }
    text += "\n";
    for reference in references {
        text += &format!(
            "diesel::joinable!({} -> {} ({}));\n",
            reference.tab, reference.name, reference.kind
        );
    }
    text += "\ndiesel::allow_tables_to_appear_in_same_query!(\n";
    for table in &tables {
        text += &format!("    {},\n", table[0].tab);
    }
    text + ");\n"
}

#[test]
fn every_migration_says_why_and_can_be_undone() {
    use diesel_migrations::{FileBasedMigrations, MigrationHarness};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    for migration in std::fs::read_dir(&folder).unwrap() {
        for file in ["up.sql", "down.sql"] {
            let path = migration.as_ref().unwrap().path().join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("-- "), "{}", path.display());
        }
    }
    let (_folder, database) = fresh();
    database
        .blocking(|conn| {
            let migrations = FileBasedMigrations::from_path(&folder).unwrap();
            conn.revert_all_migrations(migrations.clone()).unwrap();
            conn.run_pending_migrations(migrations).unwrap();
            Ok(())
        })
        .unwrap();
    store(&database, "a", &completed(Vec::new()));
    sound(&database);
}
