//! API keys, as rows: hashes and what is said of them.

use diesel::prelude::*;

use super::StorageError;
use super::schema::api_keys;
use crate::domain::{Timestamp, json};

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    /// Ten characters.
    pub id: String,
    /// Free text of its maker.
    pub name: String,
    /// Salted hash, as stored.
    pub key_hash: String,
    /// The start of the key, to recognise it by.
    pub prefix: String,
    /// As requested; empty when the stored text is unreadable, which allows nothing.
    pub scopes: Vec<String>,
    /// UTC text.
    pub created_at: String,
    /// UTC text.
    pub last_used_at: Option<String>,
    /// UTC text; a key with one is dead.
    pub revoked_at: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct Row {
    id: String,
    name: String,
    key_hash: String,
    prefix: String,
    scopes: String,
    created_at: String,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<Row> for ApiKeyRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            key_hash: row.key_hash,
            prefix: row.prefix,
            scopes: serde_json::from_str(&row.scopes).unwrap_or_default(),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        }
    }
}

/// Returns every key, revoked ones included, newest first.
///
/// # Errors
///
/// When the query fails.
pub fn load_all(conn: &mut SqliteConnection) -> Result<Vec<ApiKeyRow>, StorageError> {
    let rows: Vec<Row> = api_keys::table
        .select(Row::as_select())
        .order((
            api_keys::created_at.desc(),
            diesel::dsl::sql::<diesel::sql_types::BigInt>("api_keys.rowid DESC"),
        ))
        .load(conn)?;
    Ok(rows.into_iter().map(ApiKeyRow::from).collect())
}

/// Stores a new key.
///
/// # Errors
///
/// When its id is taken.
pub fn insert(conn: &mut SqliteConnection, key: &ApiKeyRow) -> Result<(), StorageError> {
    let scopes = json::spaced_ascii(&key.scopes).unwrap_or_else(|_never| "[]".to_owned());
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::id.eq(&key.id),
            api_keys::name.eq(&key.name),
            api_keys::key_hash.eq(&key.key_hash),
            api_keys::prefix.eq(&key.prefix),
            api_keys::scopes.eq(scopes),
            api_keys::created_at.eq(&key.created_at),
            api_keys::last_used_at.eq(&key.last_used_at),
            api_keys::revoked_at.eq(&key.revoked_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Revokes a key; returns false when there is none of that id that was alive.
///
/// # Errors
///
/// When the query fails.
pub fn revoke(conn: &mut SqliteConnection, id: &str, at: &Timestamp) -> Result<bool, StorageError> {
    let alive = api_keys::table
        .filter(api_keys::id.eq(id))
        .filter(api_keys::revoked_at.is_null());
    let changed = diesel::update(alive)
        .set(api_keys::revoked_at.eq(at.to_string()))
        .execute(conn)?;
    Ok(changed > 0)
}

/// Notes when keys were last used; ids that are gone are passed over.
///
/// # Errors
///
/// When a query fails.
pub fn touch_last_used(
    conn: &mut SqliteConnection,
    uses: &[(String, Timestamp)],
) -> Result<(), StorageError> {
    for (id, at) in uses {
        diesel::update(api_keys::table.filter(api_keys::id.eq(id)))
            .set(api_keys::last_used_at.eq(at.to_string()))
            .execute(conn)?;
    }
    Ok(())
}
