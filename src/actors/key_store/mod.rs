//! Knows who may call, and signs the tokens that open event streams.
//! Owns: the API keys in memory, the event-token key, the moments of last use not yet written.
//! Holds: the database.
//! Invariant: an error while reading the keys is never taken for "there are no keys" (C1).
//! Fails: by panic -> restarts and reads the keys again; until then every question is refused.

mod messages;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, MessageResult,
    Supervised, WrapFuture,
};
use slog::Logger;

pub use messages::{
    AuthRefused, Authenticate, EventToken, MintEventToken, TokenRefused, VerifyEventToken,
};

use secret::{TokenBody, TokenKey};

use super::guard::{self, Breath};
use crate::config::{AuthSettings, Secret};
use crate::domain::{Principal, Scope, SharedClock, Timestamp};
use crate::storage::{Database, StorageError, keys};

/// Every API request asks once.
const MAILBOX: usize = 4096;
/// How often moments of last use are written.
const FLUSH_EVERY: Duration = Duration::from_secs(30);
/// Life of an event token, in seconds; dashboards plan by it.
const TOKEN_LIFE_SECS: u32 = 300;

/// A key as the store remembers it.
#[derive(Debug, Clone)]
struct Key {
    hash: String,
    scopes: Vec<Scope>,
    revoked: bool,
}

/// The actor; see the module.
pub struct KeyStore {
    settings: AuthSettings,
    database: Database,
    clock: SharedClock,
    log: Logger,
    token_key: TokenKey,
    /// `None` until the keys have been read, and again after a failure.
    keys: Option<HashMap<String, Key>>,
    last_used: HashMap<String, Timestamp>,
    breath: Breath,
}

/// Why the store cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The keys in the database could not be read.
    #[error("failed to read the API keys")]
    Keys(#[from] StorageError),
    /// No random bytes for the event-token key.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl KeyStore {
    /// Reads the keys and makes the store. Blocks on the database.
    ///
    /// # Errors
    /// When the keys cannot be read: a server that does not know its keys must not start.
    pub fn open(
        settings: AuthSettings,
        database: Database,
        clock: SharedClock,
        log: Logger,
    ) -> Result<Self, KeyStoreError> {
        let token_key = match &settings.event_token_secret {
            Some(secret) => TokenKey::new(secret.reveal().as_bytes()),
            None => TokenKey::ephemeral().map_err(KeyStoreError::Random)?,
        };
        let rows = database.blocking(keys::load_all)?;
        Ok(Self {
            settings,
            database,
            clock,
            log,
            token_key,
            keys: Some(remember(rows)),
            last_used: HashMap::new(),
            breath: Breath::default(),
        })
    }

    /// Tells whether anybody can be let in: an environment key, or a database key with `admin` (C2).
    #[must_use]
    pub fn has_administrator(&self) -> bool {
        self.settings.api_key.is_some()
            || self.keys.as_ref().is_some_and(|keys| {
                keys.values()
                    .any(|key| !key.revoked && key.scopes.contains(&Scope::Admin))
            })
    }

    /// Tells whether the server is open to everybody.
    #[must_use]
    pub fn is_dev_mode(&self) -> bool {
        matches!(self.without_key(), Ok(Principal::Dev))
    }

    fn without_key(&self) -> Result<Principal, AuthRefused> {
        let keys = self.keys.as_ref().ok_or(AuthRefused::Unavailable)?;
        if self.settings.api_key.is_some() || keys.values().any(|key| !key.revoked) {
            Err(AuthRefused::KeyRequired)
        } else if self.settings.required {
            Err(AuthRefused::NoCredentials)
        } else {
            Ok(Principal::Dev)
        }
    }

    fn with_key(&mut self, presented: &Secret) -> Result<Principal, AuthRefused> {
        let presented = presented.reveal();
        if self
            .settings
            .api_key
            .as_ref()
            .is_some_and(|key| secret::same(key.reveal(), presented))
        {
            return Ok(Principal::Environment);
        }
        let keys = self.keys.as_ref().ok_or(AuthRefused::Unavailable)?;
        let id = secret::key_id(presented).ok_or(AuthRefused::InvalidKey)?;
        let key = keys
            .get(id)
            .filter(|key| !key.revoked && secret::matches(&key.hash, presented))
            .ok_or(AuthRefused::InvalidKey)?;
        let principal = Principal::Key {
            id: id.to_owned(),
            scopes: key.scopes.clone(),
        };
        self.last_used.insert(id.to_owned(), self.clock.utc());
        Ok(principal)
    }

    fn mint(&self, request: &MintEventToken) -> EventToken {
        let body = TokenBody {
            scan_id: request.scan_id.to_string(),
            key_id: request.principal.id().to_owned(),
            expires_at: self.clock.now().timestamp() + i64::from(TOKEN_LIFE_SECS),
        };
        EventToken {
            token: self.token_key.mint(&body),
            expires_in_secs: u64::from(TOKEN_LIFE_SECS),
        }
    }

    fn verify(&self, request: &VerifyEventToken) -> Result<Principal, TokenRefused> {
        let body = self
            .token_key
            .open(request.token.reveal())
            .ok_or(TokenRefused::Invalid)?;
        if body.expires_at < self.clock.now().timestamp() {
            return Err(TokenRefused::Invalid);
        }
        if body.scan_id != request.scan_id.as_str() {
            return Err(TokenRefused::OtherScan);
        }
        match body.key_id.as_str() {
            "dev" if self.is_dev_mode() => Ok(Principal::Dev),
            "dev" => Err(TokenRefused::DevModeOver),
            "env" if self.settings.api_key.is_some() => Ok(Principal::Environment),
            "env" => Err(TokenRefused::EnvironmentKeyGone),
            id => self
                .keys
                .as_ref()
                .and_then(|keys| keys.get(id))
                .filter(|key| !key.revoked)
                .map(|key| Principal::Key {
                    id: id.to_owned(),
                    scopes: key.scopes.clone(),
                })
                .ok_or(TokenRefused::KeyGone),
        }
    }

    fn reload(&mut self, context: &mut Context<Self>) {
        let database = self.database.clone();
        let read = async move { database.run(keys::load_all).await };
        context.wait(
            read.into_actor(self)
                .map(|rows, store, context| match rows {
                    Ok(rows) => store.keys = Some(remember(rows)),
                    Err(error) => {
                        slog::error!(store.log, "failed to read the API keys; trying again";
                    "error" => crate::telemetry::chain(&error));
                        context.run_later(Duration::from_secs(1), Self::reload);
                    }
                }),
        );
    }

    /// Takes what is remembered and returns the writing of it.
    fn write_last_used(&mut self) -> impl Future<Output = ()> + 'static {
        let used: Vec<_> = std::mem::take(&mut self.last_used).into_iter().collect();
        let database = self.database.clone();
        let log = self.log.clone();
        async move {
            if used.is_empty() {
                return;
            }
            let written = database
                .write(move |conn| keys::touch_last_used(conn, &used))
                .await;
            if let Err(error) = written {
                slog::warn!(log, "moments of last use of API keys were lost";
                    "error" => crate::telemetry::chain(&error));
            }
        }
    }
}

fn remember(rows: Vec<keys::ApiKeyRow>) -> HashMap<String, Key> {
    rows.into_iter()
        .map(|row| {
            // A scope that no version knows allows nothing.
            let scopes = row
                .scopes
                .iter()
                .filter_map(|scope| scope.parse().ok())
                .collect();
            let key = Key {
                hash: row.key_hash,
                scopes,
                revoked: row.revoked_at.is_some(),
            };
            (row.id, key)
        })
        .collect()
}

impl Actor for KeyStore {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
        context.run_interval(FLUSH_EVERY, |store, context| {
            let writing = store.write_last_used();
            context.spawn(writing.into_actor(store));
        });
        if self.keys.is_none() {
            self.reload(context);
        }
    }
}

impl Supervised for KeyStore {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.keys = None;
    }
}

impl Handler<Authenticate> for KeyStore {
    type Result = Result<Principal, AuthRefused>;

    fn handle(&mut self, message: Authenticate, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        guard::step(self, context, |store, _context| match &message.presented {
            Some(key) => store.with_key(key),
            None => store.without_key(),
        })
        .unwrap_or(Err(AuthRefused::Unavailable))
    }
}

impl Handler<MintEventToken> for KeyStore {
    type Result = MessageResult<MintEventToken>;

    fn handle(&mut self, message: MintEventToken, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        MessageResult(self.mint(&message))
    }
}

impl Handler<VerifyEventToken> for KeyStore {
    type Result = Result<Principal, TokenRefused>;

    fn handle(&mut self, message: VerifyEventToken, context: &mut Self::Context) -> Self::Result {
        self.breath.take(context);
        guard::step(self, context, |store, _context| store.verify(&message))
            .unwrap_or(Err(TokenRefused::Invalid))
    }
}

/// Write what is remembered: the server stops.
#[derive(Debug, Clone, Copy, actix::Message)]
#[rtype(result = "()")]
pub struct FlushKeys;

impl Handler<FlushKeys> for KeyStore {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _message: FlushKeys, _context: &mut Self::Context) -> Self::Result {
        AtomicResponse::new(Box::pin(self.write_last_used().into_actor(self)))
    }
}
