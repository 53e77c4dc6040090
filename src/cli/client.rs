//! The HTTP client of the subcommands: calls the API and turns its answers and error bodies into values and errors.
//!
//! Used by the subcommands only. It prints nothing.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::engine::session::Event;
use crate::error::{Error, ErrorKind, Result};

/// A daemon's API. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// InfluxDB's error body, with fluxmill's additions.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorBody {
    /// `invalid`, `not found`, ...
    #[serde(default)]
    pub code: String,
    /// The sentence.
    #[serde(default)]
    pub message: String,
    /// What may help.
    pub hint: Option<String>,
    /// The problems of a script with carets.
    pub rendered: Option<String>,
}

impl Client {
    /// A client for `http://host:port`.
    pub fn new(base: &str, token: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| Error::internal(format!("the HTTP client does not start: {error}")))?;
        Ok(Client { base: base.trim_end_matches('/').to_string(), token, http })
    }

    /// A request to a path with query parameters.
    pub fn request(&self, method: Method, path: &str, parameters: &[(&str, &str)]) -> RequestBuilder {
        let mut url = format!("{}{path}", self.base);
        for (index, (name, value)) in parameters.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.header("Authorization", format!("Token {token}")),
            None => request,
        }
    }

    /// Sends a request; an answer that is no success becomes an error of the class that its body names.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (error, _) = read_error(response).await;
        Err(error)
    }

    /// GET of a JSON document.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, parameters: &[(&str, &str)]) -> Result<T> {
        let response = self.send(self.request(Method::GET, path, parameters)).await?;
        read_json(path, response).await
    }

    /// POST of a JSON document, answered by one.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T> {
        let response = self.send(with_json(self.request(Method::POST, path, &[]), body)).await?;
        read_json(path, response).await
    }

    /// The error of a request that got no answer.
    pub fn unreachable(&self, error: &reqwest::Error) -> Error {
        if error.is_builder() {
            return Error::invalid(format!("{} is no URL of a daemon: expected http://host:port", self.base));
        }
        Error::unavailable(format!("nothing answers at {}: {error}", self.base))
            .with_hint("is `fluxmill serve` running there?")
    }
}

/// A request with a JSON body.
pub(crate) fn with_json(request: RequestBuilder, body: &serde_json::Value) -> RequestBuilder {
    request.header("Content-Type", "application/json").body(body.to_string())
}

async fn read_json<T: DeserializeOwned>(path: &str, response: Response) -> Result<T> {
    let unexpected =
        |error: &dyn std::fmt::Display| Error::unavailable(format!("an unexpected answer of {path}: {error}"));
    let body = response.bytes().await.map_err(|error| unexpected(&error))?;
    serde_json::from_slice(&body).map_err(|error| unexpected(&error))
}

/// The error that an answer holds, with the rendered diagnostics if it is about a script.
pub(crate) async fn read_error(response: Response) -> (Error, Option<String>) {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    let Ok(body) = serde_json::from_str::<ErrorBody>(&text) else {
        let shown = text.chars().take(200).collect::<String>();
        return (Error::new(kind_of(status, ""), format!("HTTP {status}: {shown}")), None);
    };
    let mut error = Error::new(kind_of(status, &body.code), body.message);
    if status == StatusCode::UNAUTHORIZED {
        error = error.with_hint("pass --token, or FLUXMILL_TOKEN, or --data-dir of a daemon on this machine");
    }
    if let Some(hint) = body.hint {
        error = error.with_hint(hint);
    }
    (error, body.rendered)
}

fn kind_of(status: StatusCode, code: &str) -> ErrorKind {
    match (status.as_u16(), code) {
        (_, "failed precondition") => ErrorKind::FailedPrecondition,
        (400, _) => ErrorKind::Invalid,
        (401 | 403, _) => ErrorKind::Unauthorized,
        (404, _) => ErrorKind::NotFound,
        (422, _) => ErrorKind::Conflict,
        (499, _) => ErrorKind::Canceled,
        (501, _) => ErrorKind::Unimplemented,
        (429 | 502..=504, _) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

/// Tells the events of an answer, an object a line, as they come.
///
/// Errors: Unavailable if the answer breaks off or is no event.
pub(crate) async fn events(response: Response, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
    let mut bytes = response.bytes_stream();
    let mut held: Vec<u8> = Vec::new();
    while let Some(piece) = bytes.next().await {
        held.extend(piece.map_err(|error| Error::unavailable(format!("the answer broke off: {error}")))?.iter());
        let Some(end) = held.iter().rposition(|byte| *byte == b'\n') else { continue };
        let rest = held.split_off(end + 1);
        for line in held.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            tell(serde_json::from_slice(line).map_err(|error| unexpected(&error))?);
        }
        held = rest;
    }
    Ok(())
}

/// The error of an answer that is not what this program knows.
pub(crate) fn unexpected(error: &serde_json::Error) -> Error {
    Error::unavailable(format!("an unexpected answer of the daemon: {error}"))
}

/// A path segment, percent-encoded.
pub(crate) fn escape(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}
