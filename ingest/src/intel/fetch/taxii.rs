//! TAXII 2.1 (OASIS): discovery, API roots, collections, and their objects page by page.

use serde::Deserialize;
use url::Url;

use super::{FetchError, Outcome, Run, State, Target, plain::failed};
use crate::{
    intel::Shape,
    outbound::{Answer, shown},
};

const ACCEPT: (&str, &str) = ("accept", "application/taxii+json;version=2.1");

/// Types of objects that are of use; servers that filter send no others.
const TYPES: &str = "indicator,attack-pattern,relationship,marking-definition";

/// Objects that one page is asked to have at most; servers may give fewer.
const PAGE_OBJECTS: &str = "1000";

/// What the first answer is: a discovery or an API root.
#[derive(Deserialize)]
struct First {
    #[serde(default)]
    api_roots: Option<Vec<String>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Collections {
    #[serde(default)]
    collections: Vec<Collection>,
}

#[derive(Deserialize)]
struct Collection {
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    alias: Option<String>,
    #[serde(default)]
    can_read: bool,
}

/// What says of a page whether another follows.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    more: bool,
    #[serde(default)]
    next: Option<String>,
}

/// Reads what was added to each collection since it was last read. Each page that came is kept
/// with the time of its last object, so a run that breaks goes on where it broke.
pub(super) async fn run(url: &Url, wanted: &[String], to: Target<'_>, mut state: State) -> Run {
    let collections = match collections(url, wanted, to).await {
        Ok(collections) => collections,
        Err(error) => return failed(state, error),
    };
    let mut outcome = Outcome::Unchanged;
    for (root, collection) in collections {
        let mut pages = Pages { to, root: &root, collection: &collection, came: false };
        let error = pages.read(&mut state).await.err();
        if pages.came {
            outcome = Outcome::Changes;
        }
        if error.is_some() {
            return Run { state, outcome, error };
        }
    }
    Run { state, outcome, error: None }
}

/// The collections that are wanted, each with its API root.
async fn collections(
    url: &Url,
    wanted: &[String],
    to: Target<'_>,
) -> Result<Vec<(Url, Collection)>, FetchError> {
    let mut found = Vec::new();
    for root in roots(url, to).await? {
        let place = join(&root, "collections/")?;
        let listed: Collections = json(&place, &ask(to, &place).await?.body)?;
        let readable = listed.collections.into_iter().filter(|collection| {
            let called = [Some(&collection.id), Some(&collection.title), collection.alias.as_ref()];
            let is_wanted = called.into_iter().flatten().any(|name| wanted.contains(name));
            collection.can_read && (wanted.is_empty() || is_wanted)
        });
        found.extend(readable.map(|collection| (root.clone(), collection)));
    }
    let is_named = |name: &&String| {
        found.iter().any(|(_, collection)| {
            [&collection.id, &collection.title].contains(name)
                || collection.alias.as_ref() == Some(*name)
        })
    };
    if let Some(missing) = wanted.iter().find(|name| !is_named(name)) {
        let reason = format!("there is no collection {missing:?} that may be read");
        return Err(FetchError::Protocol { place: shown(url), reason });
    }
    if found.is_empty() {
        let reason = "there is no collection that may be read".to_owned();
        return Err(FetchError::Protocol { place: shown(url), reason });
    }
    Ok(found)
}

/// The API roots behind `url`, which may be one.
async fn roots(url: &Url, to: Target<'_>) -> Result<Vec<Url>, FetchError> {
    let url = slashed(url);
    let first: First = json(&url, &ask(to, &url).await?.body)?;
    match (first.api_roots, first.versions) {
        (Some(roots), _) if !roots.is_empty() => {
            roots.iter().map(|root| Ok(slashed(&join(&url, root)?))).collect()
        }
        (None, Some(_)) => Ok(vec![url]),
        _ => Err(FetchError::Protocol {
            place: shown(&url),
            reason: "it is neither a TAXII 2.1 discovery with API roots nor an API root".to_owned(),
        }),
    }
}

async fn ask(to: Target<'_>, url: &Url) -> Result<Answer, FetchError> {
    to.client.get(url, &[ACCEPT]).await?.ok_or_else(|| FetchError::Protocol {
        place: shown(url),
        reason: "the server answered 304 to what asked for no such answer".to_owned(),
    })
}

fn json<T: for<'de> Deserialize<'de>>(url: &Url, body: &[u8]) -> Result<T, FetchError> {
    serde_json::from_slice(body).map_err(|error| FetchError::Protocol {
        place: shown(url),
        reason: format!("the answer is not what TAXII 2.1 says: {error}"),
    })
}

fn join(base: &Url, path: &str) -> Result<Url, FetchError> {
    base.join(path).map_err(|error| FetchError::Protocol {
        place: shown(base),
        reason: format!("{path:?} is no URL: {error}"),
    })
}

fn slashed(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

/// The pages of a collection.
struct Pages<'a> {
    to: Target<'a>,
    root: &'a Url,
    collection: &'a Collection,
    /// Whether a page came.
    came: bool,
}

impl Pages<'_> {
    async fn read(&mut self, state: &mut State) -> Result<(), FetchError> {
        let base = join(self.root, &format!("collections/{}/objects/", self.collection.id))?;
        // The same collection under two roots is read twice.
        let key = format!("{}{}", self.root.path(), self.collection.id);
        let mut since = state.added_after.get(&key).cloned();
        let mut before = since.clone();
        let mut next: Option<String> = None;
        for _ in 0..self.to.client.limits.pages_max {
            let url = page_url(&base, since.as_deref(), next.as_deref());
            let answer = ask(self.to, &url).await?;
            let last = answer.header("x-taxii-date-added-last");
            let envelope = self.page(&url, answer).await?;
            if let Some(last) = &last {
                state.added_after.insert(key.clone(), last.clone());
            }
            if !envelope.more {
                return Ok(());
            }
            // `next` goes on within the same question, and medallion says the same one on every
            // page; without it the question is a new one. What comes must be new either way.
            let is_new = last.is_some() && last != before;
            if !is_new && (envelope.next.is_none() || envelope.next == next) {
                return Err(FetchError::Protocol {
                    place: shown(&url),
                    reason: "the server says that there is more, but not where".to_owned(),
                });
            }
            next = envelope.next;
            before.clone_from(&last);
            if next.is_none() {
                since = last;
            }
        }
        let max = self.to.client.limits.pages_max;
        Err(FetchError::TooMuch { place: shown(&base), max, unit: "pages" })
    }

    /// Gives a page to the sink; what it says of a following one.
    async fn page(&mut self, url: &Url, answer: Answer) -> Result<Envelope, FetchError> {
        let body = answer.body;
        // Some servers say "nothing" with nothing.
        if body.trim_ascii().is_empty() {
            return Ok(Envelope { more: false, next: None });
        }
        let envelope = json(url, &body)?;
        self.to.tell(|sink| sink.page());
        self.came = true;
        self.to.read(Some(Shape::Stix), body, shown(url)).await?;
        Ok(envelope)
    }
}

fn page_url(base: &Url, since: Option<&str>, next: Option<&str>) -> Url {
    let mut url = base.clone();
    let mut query = url.query_pairs_mut();
    query.append_pair("limit", PAGE_OBJECTS).append_pair("match[type]", TYPES);
    if let Some(next) = next {
        query.append_pair("next", next);
    }
    if let Some(since) = since {
        query.append_pair("added_after", since);
    }
    drop(query);
    url
}
