//! Who may call, and what: tokens, as InfluxDB's `Token` and `Bearer` schemes carry them.
//!
//! A layer over every path but health, ready, ping and metrics. Tokens are kept and compared by their hashes and never
//! printed but once, when they are made. The operator's token (the file `token` of the data directory) may do everything;
//! the others are in the catalogue.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::RwLock;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Api;
use super::error::ApiError;
use crate::catalogue::{Catalogue, Durability, Keyspace};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;

/// Most tokens besides the operator's.
const MOST_TOKENS: usize = 10_000;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Read: queries, lists, logs.
    pub read: bool,
    /// Write and delete rows, and change buckets and tasks.
    pub write: bool,
}

impl Scope {
    /// Everything.
    pub const ALL: Scope = Scope { read: true, write: true };
}

/// A token besides the operator's, without itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeToken {
    /// 16 hex digits.
    pub id: Name,
    /// The SHA-256 of the token, in hex digits.
    hash: String,
    /// What it is for.
    pub description: String,
    /// What it may do.
    pub scope: Scope,
    /// Whether it is let in at all.
    pub active: bool,
    /// When it was made.
    pub created_ns: i64,
}

/// The tokens that are let in.
pub struct Tokens {
    /// The operator's; `None`: nobody is asked.
    operators: Option<Vec<[u8; 32]>>,
    made: RwLock<BTreeMap<Name, MadeToken>>,
    catalogue: Option<Arc<Catalogue>>,
}

impl Tokens {
    /// Only these tokens, each for everything.
    pub fn only<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let operators = Some(tokens.into_iter().map(hash).collect());
        Tokens { operators, made: RwLock::default(), catalogue: None }
    }

    /// Nobody is asked.
    pub fn everybody() -> Self {
        Tokens { operators: None, made: RwLock::default(), catalogue: None }
    }

    /// And the tokens that a catalogue keeps.
    pub fn with_made(mut self, catalogue: &Arc<Catalogue>) -> Result<Self> {
        let made = catalogue.list::<MadeToken>(Keyspace::Tokens, "")?;
        self.made = RwLock::new(made.into_iter().map(|(_, token)| (token.id.clone(), token)).collect());
        self.catalogue = Some(Arc::clone(catalogue));
        Ok(self)
    }

    /// All tokens besides the operator's, the oldest first.
    pub(super) fn list(&self) -> Vec<MadeToken> {
        let mut all: Vec<MadeToken> = self.made.read().values().cloned().collect();
        all.sort_by(|left, right| (left.created_ns, &left.id).cmp(&(right.created_ns, &right.id)));
        all
    }

    /// Makes a token, durably. The second value is the token itself: nobody can be told again.
    pub(super) fn make(&self, description: String, scope: Scope, created_ns: i64) -> Result<(MadeToken, String)> {
        if self.made.read().len() >= MOST_TOKENS {
            return Err(Error::conflict(format!("there are {MOST_TOKENS} tokens already")));
        }
        let mut random = [0_u8; 32];
        rand::rng().fill(&mut random);
        let token = hex(&random);
        let id: Name = format!("{:016x}", rand::rng().random_range(1..=u64::MAX)).into();
        let made = MadeToken { id, hash: hex(&hash(&token)), description, scope, active: true, created_ns };
        self.keep(&made)?;
        Ok((made, token))
    }

    /// Lets a token in, or not any more.
    ///
    /// Errors: `NotFound`.
    pub(super) fn set_active(&self, id: &str, active: bool) -> Result<MadeToken> {
        let known = self.made.read().get(id).cloned();
        let made = MadeToken { active, ..known.ok_or_else(not_found)? };
        self.keep(&made)?;
        Ok(made)
    }

    /// Forgets a token, durably.
    ///
    /// Errors: `NotFound`.
    pub(super) fn revoke(&self, id: &str) -> Result<()> {
        let mut made = self.made.write();
        if !made.contains_key(id) {
            return Err(not_found());
        }
        self.catalogue()?.remove(Keyspace::Tokens, id, Durability::Synced)?;
        made.remove(id);
        Ok(())
    }

    fn keep(&self, token: &MadeToken) -> Result<()> {
        let mut made = self.made.write();
        self.catalogue()?.put(Keyspace::Tokens, &*token.id, token, Durability::Synced)?;
        made.insert(token.id.clone(), token.clone());
        Ok(())
    }

    fn catalogue(&self) -> Result<&Catalogue> {
        self.catalogue.as_deref().ok_or_else(|| Error::unavailable("there is no place to keep tokens"))
    }

    /// What the bearer of a request's token may do; `None` if the token is not known.
    fn admits(&self, headers: &HeaderMap) -> Option<Scope> {
        let Some(operators) = &self.operators else { return Some(Scope::ALL) };
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("token") && !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // Comparing hashes takes the same time wherever they differ in the token.
        let given = hash(token.trim());
        if operators.iter().fold(false, |found, known| found | (*known == given)) {
            return Some(Scope::ALL);
        }
        let given = hex(&given);
        let made = self.made.read();
        made.values().find(|token| token.active && token.hash == given).map(|token| token.scope)
    }
}

fn not_found() -> Error {
    Error::not_found("authorization not found")
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request needs.
fn needed(method: &Method, path: &str) -> Scope {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || path.starts_with("/api/v2/query")
        || path.starts_with("/api/fluxmill/evaluate")
        || path == "/api/fluxmill/explain"
        || path == "/api/fluxmill/sql";
    if path.starts_with("/api/v2/authorizations") {
        return Scope::ALL;
    }
    Scope { read: reads, write: !reads }
}

/// Refuses a request without a known token, or with one that may not do this.
pub(super) async fn require_token(State(api): State<Arc<Api>>, mut request: Request<Body>, next: Next) -> Response {
    let Some(scope) = api.tokens.admits(request.headers()) else {
        return ApiError::from(Error::new(ErrorKind::Unauthorized, "unauthorized access")).into_response();
    };
    let needed = needed(request.method(), request.uri().path());
    if needed.write && !scope.write {
        return forbidden("write").into_response();
    }
    if needed.read && !scope.read {
        return forbidden("read").into_response();
    }
    // A script that is only asked for may write, which is known when it has run.
    request.extensions_mut().insert(scope);
    next.run(request).await
}

/// The token is known, and may not do this.
pub(super) fn forbidden(what: &str) -> ApiError {
    let error = Error::new(ErrorKind::Unauthorized, format!("insufficient permissions for {what}"));
    ApiError::from(error).status(StatusCode::FORBIDDEN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use axum::http::HeaderValue;

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"));
        headers
    }

    #[test]
    fn both_schemes_and_only_known_tokens() {
        let tokens = Tokens::only(["s3cret"]);
        assert_eq!(tokens.admits(&with("Token s3cret")), Some(Scope::ALL));
        assert_eq!(tokens.admits(&with("bearer s3cret")), Some(Scope::ALL));
        for bad in ["Token other", "Basic s3cret", "s3cret"] {
            assert_eq!(tokens.admits(&with(bad)), None);
        }
        assert_eq!(tokens.admits(&HeaderMap::new()), None);
        assert_eq!(Tokens::everybody().admits(&HeaderMap::new()), Some(Scope::ALL));
    }

    #[test]
    fn a_made_token_is_kept_by_its_hash_until_it_is_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = Arc::new(Catalogue::open(directory.path()).unwrap());
        let tokens = Tokens::only(["s3cret"]).with_made(&catalogue).unwrap();
        let scope = Scope { read: true, write: false };
        let (made, token) = tokens.make("grafana".to_string(), scope, 5).unwrap();
        let given = with(&format!("Token {token}"));
        let again = Tokens::only(["s3cret"]).with_made(&catalogue).unwrap();
        assert_eq!(again.admits(&given), Some(scope));
        assert_eq!(again.list(), std::slice::from_ref(&made));
        assert!(!serde_json::to_string(&made).unwrap().contains(&token));
        tokens.set_active(&made.id, false).unwrap();
        assert_eq!(tokens.admits(&given), None);
        tokens.set_active(&made.id, true).unwrap();
        tokens.revoke(&made.id).unwrap();
        assert_eq!(tokens.admits(&given), None);
        assert_eq!(tokens.revoke(&made.id).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(Tokens::only([]).with_made(&catalogue).unwrap().list().is_empty());
    }

    #[test]
    fn what_a_request_needs_follows_from_its_method_and_path() {
        let read = Scope { read: true, write: false };
        let write = Scope { read: false, write: true };
        assert_eq!(needed(&Method::GET, "/api/v2/buckets"), read);
        assert_eq!(needed(&Method::POST, "/api/v2/query"), read);
        assert_eq!(needed(&Method::POST, "/api/fluxmill/sql"), read);
        assert_eq!(needed(&Method::POST, "/api/v2/write"), write);
        assert_eq!(needed(&Method::DELETE, "/api/v2/buckets/1"), write);
        assert_eq!(needed(&Method::GET, "/api/v2/authorizations"), Scope::ALL);
    }
}
