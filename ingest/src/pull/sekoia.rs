//! SEKOIA.IO: alerts and cases as they change.
//!
//! `GET /v1/sic/{alerts,cases}?date[updated_at]=FROM,now&sort=updated_at&direction=asc&limit=…&
//! offset=…`. Offsets alone would skip objects, as one that changes while pages are read moves to
//! the end and those behind it move up: each page begins at the time of the last object, and
//! offsets count only within one second.

use event::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use url::Url;

use super::{
    PullError,
    page::{Item, Page, Position, join, read},
};
use crate::outbound::{Call, Client};

/// The most that the API gives at once.
const PAGE_ITEMS_MAX: usize = 100;

/// A workspace.
#[derive(Clone, Debug)]
pub struct Sekoia {
    /// `https://api.sekoia.io`, or a region's `https://app.….sekoia.io/api`.
    pub url: Url,
    /// What is asked for.
    pub streams: Vec<SekoiaStream>,
    /// Only this community's; all that the key sees where it is absent.
    pub community: Option<String>,
}

/// A list of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SekoiaStream {
    /// Alerts, again with each change.
    Alerts,
    /// Cases, again with each change.
    Cases,
}

impl SekoiaStream {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Cases => "cases",
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Known {
    uuid: Option<String>,
    short_id: Option<String>,
    updated_at: Option<Value>,
}

impl Sekoia {
    pub(super) async fn page(
        &self,
        client: &Client,
        stream: SekoiaStream,
        at: &Position,
    ) -> Result<Page, PullError> {
        let second = Timestamp::from_secs(at.from.as_nanos().div_euclid(1_000_000_000));
        let offset: usize = at.token.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let (range, limit) = (format!("{second},now"), PAGE_ITEMS_MAX.to_string());
        let skipped = offset.to_string();
        let mut query = vec![
            ("date[updated_at]", range.as_str()),
            ("sort", "updated_at"),
            ("direction", "asc"),
            ("limit", &limit),
            ("offset", &skipped),
        ];
        if let Some(community) = &self.community {
            query.push(("match[community_uuid]", community));
        }
        let url = join(&self.url, &format!("v1/sic/{}", stream.as_str()), &query);
        let Some(answer) = client.call(&Call::get(&url)).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let Answer { items } = read(&url, &answer.body)?;
        let items: Vec<Item> = items.iter().map(|raw| item(raw)).collect();
        let next = (items.len() >= PAGE_ITEMS_MAX).then(|| {
            let last = items.iter().rev().find_map(|item| item.at);
            match last.map(|last| last.as_nanos().div_euclid(1_000_000_000)) {
                Some(last) if Timestamp::from_secs(last) > second => {
                    Position { from: Timestamp::from_secs(last), token: None }
                }
                _ => Position { from: second, token: Some((offset + items.len()).to_string()) },
            }
        });
        Ok(Page { items, next })
    }
}

/// Alerts have seconds since 1970, cases have RFC 3339.
fn item(raw: &RawValue) -> Item {
    let Ok(known) = serde_json::from_str::<Known>(raw.get()) else {
        return Item::new(raw, None, None);
    };
    let at = known.updated_at.and_then(|at| match at {
        Value::Number(number) => number.as_i64().map(Timestamp::from_secs),
        Value::String(text) => Timestamp::parse(&text),
        _ => None,
    });
    Item::new(raw, known.uuid.or(known.short_id).as_deref(), at)
}
