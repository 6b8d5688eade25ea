//! One document: a file, or behind a URL.

use std::{io::Read as _, path::Path, time::UNIX_EPOCH};

use url::Url;

use super::{FetchError, Outcome, Run, State, Target};
use crate::{intel::Shape, outbound::shown};

pub(super) async fn file(path: &Path, shape: Option<Shape>, to: Target<'_>, state: State) -> Run {
    let (owned, max, known) =
        (path.to_owned(), to.client.limits.body_bytes_max, state.etag.clone());
    let read = tokio::task::spawn_blocking(move || contents(&owned, max, known.as_deref())).await;
    let place = path.display().to_string();
    let (etag, bytes) = match read {
        Ok(Ok(Some(read))) => read,
        Ok(Ok(None)) => return Run { state, outcome: Outcome::Unchanged, error: None },
        Ok(Err(error)) => return failed(state, error),
        Err(panic) => {
            return failed(state, FetchError::Protocol { place, reason: panic.to_string() });
        }
    };
    let next = State { etag: Some(etag), ..State::default() };
    whole(shape, bytes, to, (state, next), place).await
}

/// The file's time and size, and its bytes where those are not `known`.
fn contents(
    path: &Path,
    max: u64,
    known: Option<&str>,
) -> Result<Option<(String, Vec<u8>)>, FetchError> {
    let failed = |source| FetchError::File { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let etag = format!("{}-{}", modified.unwrap_or_default().as_nanos(), about.len());
    if known == Some(etag.as_str()) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        let place = path.display().to_string();
        return Err(FetchError::TooMuch { place, max, unit: "bytes" });
    }
    Ok(Some((etag, bytes)))
}

pub(super) async fn http(url: &Url, shape: Option<Shape>, to: Target<'_>, state: State) -> Run {
    let mut headers = Vec::new();
    if let Some(etag) = &state.etag {
        headers.push(("if-none-match", etag.as_str()));
    } else if let Some(time) = &state.last_modified {
        headers.push(("if-modified-since", time.as_str()));
    }
    let answer = match to.client.get(url, &headers).await {
        Ok(Some(answer)) => answer,
        Ok(None) => return Run { state, outcome: Outcome::Unchanged, error: None },
        Err(error) => return failed(state, error.into()),
    };
    let next = State {
        etag: answer.header("etag"),
        last_modified: answer.header("last-modified"),
        ..State::default()
    };
    whole(shape, answer.body, to, (state, next), shown(url)).await
}

async fn whole(
    shape: Option<Shape>,
    bytes: Vec<u8>,
    to: Target<'_>,
    (before, after): (State, State),
    place: String,
) -> Run {
    match to.read(shape, bytes, place).await {
        Ok(()) => Run { state: after, outcome: Outcome::Whole, error: None },
        Err(error) => failed(before, error),
    }
}

/// Nothing came of it; what was known stands.
pub(super) fn failed(state: State, error: FetchError) -> Run {
    Run { state, outcome: Outcome::Unchanged, error: Some(error) }
}
