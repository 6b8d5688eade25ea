//! JSON bodies.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    nearest::hint,
    problem::{Kind, Problem, shown},
};

/// Bytes of a body at most.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a client may take to send one.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The members of a request's JSON object, all of them known to its route.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads `body` and refuses what is not in `known`. No body is an object without members:
    /// where one is needed, its lack is said.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: Body,
        known: &[&'static str],
    ) -> Result<Self, Problem> {
        let bytes = match tokio::time::timeout(BODY_TIME_MAX, whole(headers, body)).await {
            Ok(bytes) => bytes?,
            Err(_) => {
                let seconds = BODY_TIME_MAX.as_secs();
                return Err(Problem::new(
                    Kind::Slow,
                    format!("the body took longer than {seconds} s; nothing was changed"),
                ));
            }
        };
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        require_json(headers)?;
        Self::parse(&bytes, known)
    }

    fn parse(bytes: &[u8], known: &[&'static str]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            Problem::new(Kind::Body, format!("the body is no JSON: {error}"))
                .with("line", error.line())
                .with("column", error.column())
        })?;
        let Value::Object(fields) = value else {
            return Err(Problem::new(Kind::Body, "the body is JSON, but no object"));
        };
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let (name, hint) = (shown(name), hint(name, known));
            return Err(Problem::content(
                &pointer(&name),
                format!("{name:?} is no member of this object; {hint}"),
            ));
        }
        Ok(Self(fields))
    }

    /// All of them as they were sent; `None` where there are none.
    pub(crate) fn shown(&self) -> Option<Value> {
        (!self.0.is_empty()).then(|| Value::Object(self.0.clone()))
    }

    /// The value of `name`; `None` where it is missing or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|error| {
                Problem::content(&pointer(name), format!("{name}: {}", shown_error(&error)))
            }),
        }
    }

    /// What to set `name` to, where null is a value, too: `None` where it is missing,
    /// `Some(None)` where it is null.
    pub(crate) fn settable<T: DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<Option<T>>, Problem> {
        if self.0.contains_key(name) { self.optional(name).map(Some) } else { Ok(None) }
    }

    /// The value of `name`, which must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Problem> {
        self.optional(name)?.ok_or_else(|| {
            Problem::content(&pointer(name), format!("{name} is missing; the object needs it"))
        })
    }

    /// The value of `name`, which must be there but may be null.
    pub(crate) fn nullable<T: DeserializeOwned>(
        &mut self,
        name: &str,
        null_means: &str,
    ) -> Result<Option<T>, Problem> {
        if !self.0.contains_key(name) {
            return Err(Problem::content(
                &pointer(name),
                format!("{name} is missing; write null for {null_means}"),
            ));
        }
        self.optional(name)
    }
}

/// Where in the body, as RFC 6901 in a URI fragment; names of ours need no escape.
fn pointer(name: &str) -> String {
    format!("#/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An error's text repeats what was sent, which may be long.
fn shown_error(error: &serde_json::Error) -> String {
    error.to_string().chars().take(300).collect()
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let is_json = media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if !is_json {
        return Err(Problem::new(
            Kind::MediaType,
            "the body must be sent as `Content-Type: application/json`",
        )
        .header(header::ACCEPT, "application/json"));
    }
    if !matches!(text(header::CONTENT_ENCODING).trim(), "" | "identity") {
        return Err(Problem::new(Kind::MediaType, "the body must be sent without compression")
            .header(header::ACCEPT_ENCODING, "identity"));
    }
    Ok(())
}

async fn whole(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::new(Kind::TooLarge, format!("the body has more than {BODY_BYTES_MAX} bytes"))
            .header(header::CONNECTION, "close")
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse().ok()).is_some_and(|bytes: u64| {
        usize::try_from(bytes).map_or(true, |bytes| bytes > BODY_BYTES_MAX)
    }) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk
            .map_err(|error| Problem::new(Kind::Body, format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fields, Problem> {
        Fields::parse(text.as_bytes(), &["status", "comment"])
    }

    #[test]
    fn members_are_known_and_of_their_type() {
        let mut fields = parse(r#"{"status": "new", "comment": null}"#).unwrap();
        assert_eq!(fields.required::<String>("status").unwrap(), "new");
        assert_eq!(fields.optional::<String>("comment").unwrap(), None);
        assert!(format!("{:?}", parse(r#"{"stauts": 1}"#).unwrap_err()).contains("\\\"status\\\""));
        let mut wrong = parse(r#"{"status": 5}"#).unwrap();
        assert!(
            format!("{:?}", wrong.optional::<String>("status").unwrap_err()).contains("#/status")
        );
        assert!(parse("{}").unwrap().required::<String>("status").is_err());
        assert!(parse("{}").unwrap().nullable::<String>("status", "none").is_err());
    }

    #[test]
    fn bounds_of_json_hold() {
        for bad in ["", "[]", "1", "{", "{\"status\":1e999}", "\u{feff}{}"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let deep = format!("{{\"status\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(&deep).is_err());
    }

    #[test]
    fn only_plain_json_is_read() {
        let with = |media_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
            require_json(&headers)
        };
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
        {
            assert!(with(good).is_ok(), "{good}");
        }
        for bad in ["", "text/plain", "application/jsonp", "text/x+json"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
