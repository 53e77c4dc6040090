//! Who may call: the operator's token, as InfluxDB's `Token` and `Bearer` schemes carry it.
//!
//! A layer over every path but health, ready, ping and metrics. Tokens are compared by their hashes and never printed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::Api;
use super::error::ApiError;
use crate::error::{Error, ErrorKind};

/// The tokens that are let in.
pub struct Tokens {
    hashes: Option<Vec<[u8; 32]>>,
}

impl Tokens {
    /// Only these tokens.
    pub fn only<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        Tokens { hashes: Some(tokens.into_iter().map(hash).collect()) }
    }

    /// Nobody is asked.
    pub fn everybody() -> Self {
        Tokens { hashes: None }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(hashes) = &self.hashes else { return true };
        let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, token)) = value.split_once(' ') else { return false };
        if !scheme.eq_ignore_ascii_case("token") && !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        // Comparing hashes takes the same time wherever they differ in the token.
        let given = hash(token.trim());
        hashes.iter().fold(false, |found, known| found | (*known == given))
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Refuses a request without a known token.
pub(super) async fn require_token(State(api): State<Arc<Api>>, request: Request<Body>, next: Next) -> Response {
    if api.tokens.admits(request.headers()) {
        return next.run(request).await;
    }
    ApiError::from(Error::new(ErrorKind::Unauthorized, "unauthorized access")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn both_schemes_and_only_known_tokens() {
        let tokens = Tokens::only(["s3cret"]);
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a header"));
            headers
        };
        assert!(tokens.admits(&with("Token s3cret")));
        assert!(tokens.admits(&with("bearer s3cret")));
        assert!(!tokens.admits(&with("Token other")));
        assert!(!tokens.admits(&with("Basic s3cret")));
        assert!(!tokens.admits(&with("s3cret")));
        assert!(!tokens.admits(&HeaderMap::new()));
        assert!(Tokens::everybody().admits(&HeaderMap::new()));
    }
}
