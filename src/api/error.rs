//! Errors as InfluxDB's clients read them: a status, `{"code", "message"}`, and `X-Platform-Error-Code`.
//!
//! Used by every handler. The mapping from class to status stands here and nowhere else.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};

/// An error on its way to a client, with fluxmill's additional keys.
pub(super) struct ApiError {
    error: Error,
    status: Option<StatusCode>,
    more: Map<String, Value>,
}

impl ApiError {
    /// With another status than the one of its class.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// With a further key beside `code` and `message`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.into(), value.into());
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError { error, status: None, more: Map::new() }
    }
}

/// What handlers return.
pub(super) type ApiResult<T> = std::result::Result<T, ApiError>;

/// Status and code of a class. Telegraf drops a batch on 400 and 422, keeps it on 401 and waits on 503: so a lasting
/// fault is never a 5xx and a passing one never a 4xx.
fn status_and_code(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::Invalid | ErrorKind::OutOfRange => (StatusCode::BAD_REQUEST, "invalid"),
        ErrorKind::FailedPrecondition => (StatusCode::BAD_REQUEST, "failed precondition"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not found"),
        ErrorKind::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "not implemented"),
        ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
        ErrorKind::Conflict => (StatusCode::UNPROCESSABLE_ENTITY, "conflict"),
        ErrorKind::Unavailable | ErrorKind::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorKind::Canceled => (StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT), "request canceled"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (own_status, own_code) = status_and_code(self.error.kind());
        let status = self.status.unwrap_or(own_status);
        let code = match status {
            StatusCode::UNPROCESSABLE_ENTITY if own_status != status => "unprocessable entity",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::PAYLOAD_TOO_LARGE => "request too large",
            StatusCode::METHOD_NOT_ALLOWED => "method not allowed",
            _ => own_code,
        };
        let mut body = Map::new();
        body.insert("code".into(), code.into());
        body.insert("message".into(), self.error.message().into());
        if let Some(hint) = self.error.hint() {
            body.insert("hint".into(), hint.into());
        }
        body.extend(self.more);
        let mut response = (status, Json(Value::Object(body))).into_response();
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("x-platform-error-code"), HeaderValue::from_static(code));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Unknown paths.
pub(super) async fn path_not_found(uri: Uri) -> ApiError {
    Error::not_found("path not found").with_hint(format!("{} is no path of this API", uri.path())).into()
}

/// Known paths with another method.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::from(Error::invalid(format!("{method} is not allowed on {}", uri.path())))
        .status(StatusCode::METHOD_NOT_ALLOWED)
}
