//! Vade for Microsoft 365: e-mails with their verdicts, and what was remediated after delivery.
//!
//! `POST /api/v1/tenants/{tenant}/logs/{emails,remediations/auto,remediations/manual}/search` with
//! `sort` and `search_after`, after OAuth2's client credentials with scope `m365.api.read`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use event::Timestamp;
use hyper::header::HeaderValue;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use url::Url;

use super::{
    PullError,
    page::{Item, Page, Position, join, read},
};
use crate::outbound::{Call, Client, Secret, shown};

const PAGE_ITEMS_MAX: usize = 100;
/// A token is replaced so long before it expires.
const RENEW_BEFORE: Duration = Duration::from_mins(1);

/// A tenant of Microsoft 365.
#[derive(Clone, Debug)]
pub struct Vade {
    /// `https://m365.eu.vadesecure.com`.
    pub url: Url,
    /// Where tokens are given: `https://api.vadesecure.com/oauth2/v2/token`.
    pub token_url: Url,
    /// The tenant's id.
    pub tenant: String,
    /// Who asks.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What is asked for.
    pub streams: Vec<VadeStream>,
    /// The token that holds.
    pub token: VadeToken,
}

/// A token that holds for a while, shared by the streams.
#[derive(Clone, Debug, Default)]
pub struct VadeToken(Arc<Mutex<Option<(HeaderValue, Instant)>>>);

/// A list of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VadeStream {
    /// E-mails.
    Emails,
    /// Campaigns that were remediated by themselves.
    RemediationsAuto,
    /// Campaigns that somebody remediated.
    RemediationsManual,
}

impl VadeStream {
    /// Its path in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Emails => "emails",
            Self::RemediationsAuto => "remediations/auto",
            Self::RemediationsManual => "remediations/manual",
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    result: Found,
}

/// One of both, by the list.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    messages: Vec<Box<RawValue>>,
    #[serde(default)]
    campaigns: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Known {
    id: Option<String>,
    date: Option<String>,
}

impl Vade {
    pub(super) async fn page(
        &self,
        client: &Client,
        stream: VadeStream,
        at: &Position,
    ) -> Result<Page, PullError> {
        // The token is the date and id of the last object, as the API wrote them.
        let (date, id) = match at.token.as_deref().and_then(|token| token.split_once('\n')) {
            Some((date, id)) => (date.to_owned(), id),
            None => (at.from.to_string(), ""),
        };
        let body = json!({
            "limit": PAGE_ITEMS_MAX,
            "sort": [{ "date": "asc" }, "id"],
            "search_after": [date, id],
        });
        let path = format!("api/v1/tenants/{}/logs/{}/search", self.tenant, stream.as_str());
        let url = join(&self.url, &path, &[]);
        let Answer { result } = self.ask(client, &url, Bytes::from(body.to_string())).await?;
        let raws = [result.messages, result.campaigns].concat();
        let known = |raw: &RawValue| serde_json::from_str::<Known>(raw.get()).ok();
        let last = raws.last().and_then(|raw| known(raw));
        let next = last.filter(|_| raws.len() >= PAGE_ITEMS_MAX).and_then(|last| {
            Some(Position { from: at.from, token: Some(format!("{}\n{}", last.date?, last.id?)) })
        });
        let items = raws
            .iter()
            .map(|raw| match known(raw) {
                Some(Known { id, date }) => {
                    Item::new(raw, id.as_deref(), date.as_deref().and_then(Timestamp::parse))
                }
                None => Item::new(raw, None, None),
            })
            .collect();
        Ok(Page { items, next })
    }

    /// Asks with the token that holds, and once more with a new one where it does no longer.
    async fn ask(&self, client: &Client, url: &Url, body: Bytes) -> Result<Answer, PullError> {
        let headers = [("content-type", "application/json"), ("accept", "application/json")];
        let mut is_renewed = false;
        loop {
            let (proof, is_new) = self.token(client).await?;
            is_renewed |= is_new;
            let call = Call { proof: Some(proof), ..Call::post(url, &headers, body.clone()) };
            match client.call(&call).await {
                Ok(Some(answer)) => return read(url, &answer.body),
                Ok(None) => {
                    let reason = "it says that nothing changed, without being asked".to_owned();
                    return Err(PullError::Answer { url: shown(url), reason });
                }
                Err(error) if error.status() == Some(401) => {
                    self.lock().take();
                    if is_renewed {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The token, and whether it was fetched now.
    async fn token(&self, client: &Client) -> Result<(HeaderValue, bool), PullError> {
        #[derive(Deserialize)]
        struct Token {
            access_token: String,
            expires_in: u64,
        }
        if let Some((proof, until)) = &*self.lock()
            && Instant::now() < *until
        {
            return Ok((proof.clone(), false));
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", "m365.api.read")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose())
            .finish();
        let url = &self.token_url;
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = client.call(&Call::post(url, &headers, Bytes::from(form))).await?;
        let wrong = |reason: &str| PullError::Answer { url: shown(url), reason: reason.to_owned() };
        let answer = answer.ok_or_else(|| wrong("it gives no token"))?;
        // Said without the answer, which holds the token.
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| wrong("the answer has no access_token and expires_in"))?;
        let mut proof = HeaderValue::from_str(&format!("Bearer {}", token.access_token))
            .map_err(|_| wrong("the token has characters that no header has"))?;
        proof.set_sensitive(true);
        let lasts = Duration::from_secs(token.expires_in.min(86_400)).saturating_sub(RENEW_BEFORE);
        *self.lock() = Some((proof.clone(), Instant::now() + lasts));
        Ok((proof, true))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(HeaderValue, Instant)>> {
        self.token.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
