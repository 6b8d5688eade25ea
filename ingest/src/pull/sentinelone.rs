//! SentinelOne's management API 2.1: threats and agents as they change, activities as they happen.
//!
//! `GET /web/api/v2.1/{threats,activities,agents}?sortBy=…&sortOrder=asc&…__gte=…&limit=…`, then
//! `cursor=…` until `pagination.nextCursor` is null. Threats are asked for by when they changed:
//! by when they were made, the mitigation that comes later would be missed.

use bytes::Bytes;
use event::Timestamp;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use url::Url;

use super::{
    PullError,
    page::{Item, Page, Position, join, read},
};
use crate::outbound::{Call, Client, Secret};

/// The most that the API gives at once.
const PAGE_ITEMS_MAX: &str = "1000";

/// A console.
#[derive(Clone, Debug)]
pub struct SentinelOne {
    /// `https://….sentinelone.net`.
    pub url: Url,
    /// What is asked for.
    pub streams: Vec<SentinelOneStream>,
    /// Only these sites; all that the token sees where it is empty.
    pub site_ids: Vec<String>,
    /// The token, which the client shows too, to learn when it expires.
    pub token: Secret,
}

/// A list of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SentinelOneStream {
    /// Threats, again with each change.
    Threats,
    /// The console's log.
    Activities,
    /// Endpoints, again with each change.
    Agents,
}

impl SentinelOneStream {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Threats => "threats",
            Self::Activities => "activities",
            Self::Agents => "agents",
        }
    }

    /// The time that it is sorted by.
    const fn time(self) -> &'static str {
        match self {
            Self::Threats | Self::Agents => "updatedAt",
            Self::Activities => "createdAt",
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Vec<Box<RawValue>>>,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_cursor: Option<String>,
}

/// The parts of an object that say which it is. A threat has them inside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    id: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    threat_info: Option<ThreatInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreatInfo {
    threat_id: Option<String>,
    updated_at: Option<String>,
}

impl SentinelOne {
    pub(super) async fn page(
        &self,
        client: &Client,
        stream: SentinelOneStream,
        at: &Position,
    ) -> Result<Page, PullError> {
        let since = (format!("{}__gte", stream.time()), at.from.to_string());
        let sites = self.site_ids.join(",");
        let mut query = vec![
            ("limit", PAGE_ITEMS_MAX),
            ("sortBy", stream.time()),
            ("sortOrder", "asc"),
            (since.0.as_str(), since.1.as_str()),
        ];
        if !sites.is_empty() {
            query.push(("siteIds", &sites));
        }
        if let Some(cursor) = &at.token {
            query.push(("cursor", cursor));
        }
        let url = join(&self.url, &format!("web/api/v2.1/{}", stream.as_str()), &query);
        let Some(answer) = client.call(&Call::get(&url)).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let Answer { data, pagination } = read(&url, &answer.body)?;
        let items = data.unwrap_or_default().iter().map(|raw| item(stream, raw)).collect();
        let next = pagination.next_cursor.filter(|cursor| !cursor.is_empty());
        let next = next.map(|cursor| Position { from: at.from, token: Some(cursor) });
        Ok(Page { items, next })
    }

    /// When the token expires, where the API says so. They last half a year and end silently.
    pub(super) async fn token_expires(&self, client: &Client) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct Answer {
            data: Details,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Details {
            expires_at: Option<String>,
        }
        let url = join(&self.url, "web/api/v2.1/users/api-token-details", &[]);
        let body = json!({ "data": { "apiToken": self.token.expose() } }).to_string();
        let headers = [("content-type", "application/json")];
        let call = Call::post(&url, &headers, Bytes::from(body));
        let answer = client.call(&call).await.ok()??;
        let Answer { data } = serde_json::from_slice(&answer.body).ok()?;
        Timestamp::parse(&data.expires_at?)
    }
}

fn item(stream: SentinelOneStream, raw: &RawValue) -> Item {
    let Ok(known) = serde_json::from_str::<Known>(raw.get()) else {
        return Item::new(raw, None, None);
    };
    let threat = known.threat_info;
    let (id, at) = match (stream, threat) {
        (SentinelOneStream::Activities, _) => (known.id, known.created_at),
        (_, Some(threat)) => (known.id.or(threat.threat_id), threat.updated_at),
        (_, None) => (known.id, known.updated_at),
    };
    Item::new(raw, id.as_deref(), at.as_deref().and_then(Timestamp::parse))
}
