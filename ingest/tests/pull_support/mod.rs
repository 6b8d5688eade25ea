//! Vendors' clouds as their published clients ask them: they filter, sort and page what they hold, and
//! fail when told.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use bytes::Bytes;
use event::Timestamp;
use hyper::body::Frame;
use serde_json::{Value, json};

/// What goes wrong with one request, the first ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 429 with `Retry-After: 0`.
    Slow,
    /// 500.
    Broken,
    /// An answer that ends in the middle.
    Cut,
    /// 200 with something that is no JSON.
    Page,
    /// Nothing goes wrong.
    None,
}

/// Objects, by the list that they are in.
pub(crate) type Objects = Vec<(&'static str, Value)>;

/// What happens to objects after each page.
pub(crate) type AfterPage = Box<dyn FnMut(&mut Objects) + Send>;

/// What a cloud holds.
#[derive(Default)]
pub(crate) struct Held {
    /// By path: objects.
    pub(crate) objects: Objects,
    /// What goes wrong next.
    pub(crate) faults: VecDeque<Fault>,
    /// Called after each page, so that objects change while pages are read.
    pub(crate) after_page: Option<AfterPage>,
    /// The proof that is taken.
    pub(crate) proof: String,
    /// Objects that one answer has at most.
    pub(crate) page_max: usize,
    /// OAuth2 tokens that were given.
    pub(crate) tokens: u32,
}

#[derive(Clone)]
pub(crate) struct Cloud {
    pub(crate) url: String,
    pub(crate) held: Arc<Mutex<Held>>,
}

impl Cloud {
    /// Serves until the test ends.
    pub(crate) async fn start(proof: &str, page_max: usize) -> Self {
        let held = Held { proof: proof.to_owned(), page_max, ..Held::default() };
        let held = Arc::new(Mutex::new(held));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&held));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, held }
    }

    pub(crate) fn put(&self, path: &'static str, object: Value) {
        self.held.lock().unwrap().objects.push((path, object));
    }

    pub(crate) fn fail(&self, faults: &[Fault]) {
        self.held.lock().unwrap().faults.extend(faults);
    }
}

async fn answer(State(held): State<Arc<Mutex<Held>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let mut held = held.lock().unwrap();
    let path = head.uri.path().to_owned();
    let query: Vec<(String, String)> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    if path == "/oauth2/v2/token" {
        return token(&mut held, &body);
    }
    let shown = head.headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    if shown != held.proof {
        let told = json!({ "errors": [{ "code": 4_010_010, "title": "Authentication Failed" }] });
        return reply(401, &told);
    }
    match held.faults.pop_front().unwrap_or(Fault::None) {
        Fault::Slow => {
            return Response::builder()
                .status(StatusCode::TOO_MANY_REQUESTS)
                .header("retry-after", "0")
                .body(Body::empty())
                .unwrap();
        }
        Fault::Broken => return reply(500, &json!({ "message": "Internal" })),
        Fault::Cut => return Response::new(Body::new(Cut(false))),
        Fault::Page => return Response::new(Body::from("<html>a proxy</html>")),
        Fault::None => {}
    }
    let told = if path.starts_with("/web/api/v2.1/") {
        sentinelone(&held, &path, &query, &body)
    } else if path.starts_with("/v1/sic/") {
        sekoia(&held, &path, &query)
    } else {
        vade(&held, &path, &body)
    };
    let Some(told) = told else { return reply(404, &json!({ "message": "no such path" })) };
    let held = &mut *held;
    if let Some(change) = &mut held.after_page {
        change(&mut held.objects);
    }
    reply(200, &told)
}

/// A body that breaks off after its beginning.
struct Cut(bool);

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let has_begun = std::mem::replace(&mut self.0, true);
        Poll::Ready(Some(if has_begun {
            Err(std::io::Error::other("cut"))
        } else {
            Ok(Frame::data(Bytes::from_static(b"{\"data\":[")))
        }))
    }
}

fn reply(status: u16, body: &Value) -> Response {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

fn of<'a>(query: &'a [(String, String)], key: &str) -> Option<&'a str> {
    query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// `updatedAt__gte`, `sortBy`, `limit`, `cursor`, as the console has them. A cursor is the place in
/// the list as it is now.
fn sentinelone(held: &Held, path: &str, query: &[(String, String)], body: &str) -> Option<Value> {
    if path.ends_with("/users/api-token-details") {
        let shown: Value = serde_json::from_str(body).ok()?;
        let token = shown["data"]["apiToken"].as_str()?;
        assert_eq!(format!("ApiToken {token}"), held.proof);
        return Some(json!({ "data": { "expiresAt": "2099-01-01T00:00:00Z" } }));
    }
    let sort = of(query, "sortBy")?;
    assert_eq!(of(query, "sortOrder"), Some("asc"));
    let from = Timestamp::parse(of(query, &format!("{sort}__gte"))?)?;
    let time = |object: &Value| {
        let at = object.get("threatInfo").unwrap_or(object)[sort].as_str().unwrap().to_owned();
        Timestamp::parse(&at).unwrap()
    };
    let kind = path.rsplit('/').next()?;
    let mut found: Vec<&Value> = held
        .objects
        .iter()
        .filter(|(path, object)| *path == kind && time(object) >= from)
        .map(|(_, object)| object)
        .collect();
    found.sort_by_key(|object| time(object));
    let limit = of(query, "limit")?.parse::<usize>().ok()?.min(held.page_max);
    let skipped: usize = of(query, "cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let page: Vec<_> = found.iter().skip(skipped).take(limit).collect();
    let end = skipped + page.len();
    let next = (end < found.len()).then(|| end.to_string());
    Some(json!({ "data": page, "pagination": { "nextCursor": next, "totalItems": found.len() } }))
}

/// `date[updated_at]=FROM,now`, `sort`, `direction`, `limit`, `offset`, in whole seconds.
fn sekoia(held: &Held, path: &str, query: &[(String, String)]) -> Option<Value> {
    assert_eq!((of(query, "sort"), of(query, "direction")), (Some("updated_at"), Some("asc")));
    let from = Timestamp::parse(of(query, "date[updated_at]")?.strip_suffix(",now")?)?;
    let time = |object: &Value| match &object["updated_at"] {
        Value::Number(seconds) => Timestamp::from_secs(seconds.as_i64().unwrap()),
        text => Timestamp::parse(text.as_str().unwrap()).unwrap(),
    };
    let kind = path.rsplit('/').next()?;
    let community = of(query, "match[community_uuid]");
    let mut found: Vec<&Value> = held
        .objects
        .iter()
        .filter(|(path, object)| *path == kind && time(object) >= from)
        .filter(|(_, object)| community.is_none_or(|one| object["community_uuid"] == one))
        .map(|(_, object)| object)
        .collect();
    found.sort_by_key(|object| time(object));
    let limit = of(query, "limit")?.parse::<usize>().ok()?.min(held.page_max);
    let offset: usize = of(query, "offset")?.parse().ok()?;
    let page: Vec<_> = found.iter().skip(offset).take(limit).collect();
    Some(json!({ "items": page, "total": found.len() }))
}

/// `sort` by date and id, `search_after` of both.
fn vade(held: &Held, path: &str, body: &str) -> Option<Value> {
    let stream = path.strip_prefix("/api/v1/tenants/t-1/logs/")?.strip_suffix("/search")?;
    let asked: Value = serde_json::from_str(body).ok()?;
    assert_eq!(asked["sort"], json!([{ "date": "asc" }, "id"]));
    let key = |object: &Value| {
        let date = Timestamp::parse(object["date"].as_str().unwrap()).unwrap();
        (date, object["id"].as_str().unwrap().to_owned())
    };
    let after = &asked["search_after"];
    let after = (Timestamp::parse(after[0].as_str()?)?, after[1].as_str()?.to_owned());
    let mut found: Vec<&Value> = held
        .objects
        .iter()
        .filter(|(path, object)| *path == stream && key(object) > after)
        .map(|(_, object)| object)
        .collect();
    found.sort_by_key(|object| key(object));
    let limit = usize::try_from(asked["limit"].as_u64()?).ok()?.min(held.page_max);
    let page: Vec<_> = found.into_iter().take(limit).collect();
    let list = if stream == "emails" { "messages" } else { "campaigns" };
    Some(json!({ "result": { list: page } }))
}

/// OAuth2's client credentials. Each token makes the one before worthless.
fn token(held: &mut Held, body: &str) -> Response {
    let form: Vec<(String, String)> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let wanted = [
        ("grant_type", "client_credentials"),
        ("scope", "m365.api.read"),
        ("client_id", "soc"),
        ("client_secret", "shh"),
    ];
    if wanted.iter().any(|(name, value)| of(&form, name) != Some(value)) {
        return reply(401, &json!({ "error": "invalid_client", "error_description": "no" }));
    }
    held.tokens += 1;
    held.proof = format!("Bearer t{}", held.tokens);
    let told = json!({
        "access_token": format!("t{}", held.tokens), "token_type": "bearer", "expires_in": 3_600
    });
    reply(200, &told)
}
