//! A MISP feed: `manifest.json` names the events and when each changed, `<uuid>.json` is one.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use super::{FetchError, Outcome, Run, State, Target, plain::failed};
use crate::{
    intel::Shape,
    outbound::{Client, shown},
};

#[derive(Deserialize)]
struct Listed {
    timestamp: serde_json::Value,
}

/// Fetches the events that are new or changed and withdraws those that are gone. What came before
/// an event that can't be fetched stands, and the next run goes on from there.
pub(super) async fn run(url: &Url, to: Target<'_>, mut state: State) -> Run {
    let base = folder(url);
    let manifest = match manifest(&base, to.client).await {
        Ok(manifest) => manifest,
        Err(error) => return failed(state, error),
    };
    let gone: Vec<String> =
        state.events.keys().filter(|uuid| !manifest.contains_key(*uuid)).cloned().collect();
    let mut outcome = Outcome::Unchanged;
    for uuid in gone {
        to.tell(|sink| sink.withdrawn(&uuid));
        state.events.remove(&uuid);
        outcome = Outcome::Changes;
    }
    for (uuid, timestamp) in manifest {
        if state.events.get(&uuid) == Some(&timestamp) {
            continue;
        }
        let read = async {
            let place = base.join(&format!("{uuid}.json")).map_err(|error| {
                FetchError::Protocol { place: shown(&base), reason: format!("{error}") }
            })?;
            let answer = to.client.get(&place, &[]).await?;
            Ok((shown(&place), answer.map(|answer| answer.body).unwrap_or_default()))
        };
        let (place, bytes) = match read.await {
            Ok(read) => read,
            Err(error) => return Run { state, outcome, error: Some(error) },
        };
        // What the event said before no longer stands, also where it says nothing now.
        to.tell(|sink| {
            sink.page();
            sink.withdrawn(&uuid);
        });
        outcome = Outcome::Changes;
        if let Err(error) = to.read(Some(Shape::Misp), bytes, place).await {
            return Run { state, outcome, error: Some(error) };
        }
        state.events.insert(uuid, timestamp);
    }
    Run { state, outcome, error: None }
}

/// By event its timestamp.
async fn manifest(base: &Url, client: &Client) -> Result<BTreeMap<String, String>, FetchError> {
    let wrong = |reason: String| FetchError::Protocol { place: shown(base), reason };
    let url = base.join("manifest.json").map_err(|error| wrong(error.to_string()))?;
    let answer = client.get(&url, &[]).await?;
    let body = answer.map(|answer| answer.body).unwrap_or_default();
    let listed: BTreeMap<String, Listed> = serde_json::from_slice(&body)
        .map_err(|error| wrong(format!("manifest.json is no manifest of a MISP feed: {error}")))?;
    let max = client.limits.pages_max;
    if listed.len() as u64 > max {
        return Err(FetchError::TooMuch { place: shown(base), max, unit: "events" });
    }
    // A name that is no UUID would lead elsewhere.
    let is_uuid =
        |name: &str| name.len() == 36 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if let Some(name) = listed.keys().find(|name| !is_uuid(name)) {
        return Err(wrong(format!("manifest.json names {name:?}, which is no UUID")));
    }
    Ok(listed
        .into_iter()
        .map(|(uuid, about)| (uuid, about.timestamp.to_string().trim_matches('"').to_owned()))
        .collect())
}

/// `url` as a folder, whether it ends in a slash or names the manifest.
fn folder(url: &Url) -> Url {
    let mut url = url.clone();
    let path = url.path().strip_suffix("manifest.json").unwrap_or(url.path()).to_owned();
    url.set_path(&format!("{}/", path.trim_end_matches('/')));
    url
}
