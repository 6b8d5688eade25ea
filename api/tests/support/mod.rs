//! A small centre to ask: a real database, two communes, and searches over a list of events.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use api::{
    Api, Check, CheckedFilter, Health, IndicatorAnswer, IndicatorSource, Indicators, LocalOperator,
    Reload, RequestMetrics, RuleDetail, RuleInCommune, RuleRefusal, RuleSummary, Rules,
    RulesStatus,
};
use async_trait::async_trait;
use axum::{
    Extension, Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode},
};
use bytes::Bytes;
use event::{
    BusId, Commune, CommuneId, Detection, DetectionId, Entity, EntityKind, Event, EventBuilder,
    EventId, Feed, FeedId, FormatName, IncidentId, Level, Record, RuleRef, Timestamp,
};
use prometheus::Registry;
use serde_json::{Value, json};
use store::{
    Scope,
    audit::{Trail, TrailConfig},
    auth::{Caller, DataDir, Role, Secret, TokenInfo},
    db::{
        self, FeedCounts, FeedFailure, Hook, NewException, NewHold, NewPurge, NewReport,
        NewSavedHunt, NoticeKind, NoticeOutcome, OwnTargets, Position, Regime, SeenDevice,
        SetTargets, SharedDatabase,
    },
    hunt::{
        FieldStatistics, Histogram, Hunt, HuntAnswer, HuntError, HuntRequest, Statistics,
        StatisticsRequest,
    },
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

const BUS: BusId = BusId::from_bytes([7; 16]);

/// Every feed has had one record that could not be decoded, which names its commune.
struct OneFailure;

impl api::FeedWatch for OneFailure {
    fn of(&self, feed: &FeedId) -> api::FeedHealth {
        let failure = FeedFailure {
            received: Timestamp::from_millis(0),
            reason: "it is not JSON".to_owned(),
            raw: format!("{feed}-secret"),
        };
        let counts = FeedCounts { failed: 1, failures: vec![failure], ..FeedCounts::default() };
        api::FeedHealth { counts, ..api::FeedHealth::default() }
    }

    fn rules(&self, feed: &FeedId) -> Vec<api::FeedRule> {
        let lacks = vec![format!("{feed}-secret")];
        let (id, title) = ("rule-1".to_owned(), "Rule one".to_owned());
        vec![api::FeedRule { id, title, level: Level::Low, can_fire: false, lacks }]
    }

    fn new_devices(&self, feed: &FeedId) -> Vec<SeenDevice> {
        let (first, last) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        vec![SeenDevice { name: format!("{feed}-secret"), first, last }]
    }

    fn refused_unknown(&self) -> std::collections::BTreeMap<String, u64> {
        [("key-wrong".to_owned(), 3)].into()
    }
}

/// How many events each commune has; each raises a detection into its one incident.
pub(crate) const EVENTS: usize = 5;

/// Searches a list: everything, or the events that hold `word` in `q=word`. A `(` is an error
/// at its column, as an unclosed one is in the real language.
#[derive(Default)]
pub(crate) struct ListHunt(Mutex<Vec<Event>>);

impl ListHunt {
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[async_trait]
impl Hunt for ListHunt {
    async fn hunt(&self, scope: &Scope, request: HuntRequest) -> Result<HuntAnswer, HuntError> {
        if let Some(at) = request.query.chars().position(|c| c == '(') {
            return Err(HuntError::Query {
                column: at + 1,
                reason: "'(' is never closed".to_owned(),
            });
        }
        let begin = match &request.cursor {
            None => 0,
            Some(text) => {
                text.strip_prefix('n').and_then(|n| n.parse().ok()).ok_or(HuntError::Cursor)?
            }
        };
        let mut found: Vec<Event> = self.0.lock().unwrap().clone();
        found.retain(|event| {
            scope.allows(event.commune())
                && (request.from..=request.to).contains(&event.timestamp())
                && event.original_text().contains(&request.query)
        });
        found.sort_by_key(|event| std::cmp::Reverse((event.timestamp(), event.id())));
        let total = found.len();
        let limit = if request.limit == 0 { 100 } else { request.limit };
        let events: Vec<Event> = found.into_iter().skip(begin).take(limit).collect();
        let end = begin + events.len();
        let next_cursor = (end < total).then(|| format!("n{end}"));
        Ok(HuntAnswer { events, next_cursor, total: total as u64, splits: 0, warnings: Vec::new() })
    }

    async fn statistics(
        &self,
        scope: &Scope,
        request: StatisticsRequest,
    ) -> Result<Statistics, HuntError> {
        let StatisticsRequest { query, from, to, fields, top, interval } = request;
        let cursor = None;
        let listed = HuntRequest { query, from, to, cursor, limit: usize::MAX };
        let found = self.hunt(scope, listed).await?.events;
        let times = found.iter().map(Event::timestamp);
        let extent = times.clone().min().zip(times.max());
        let histogram = extent.filter(|_| interval.is_some()).map(|(first, _)| Histogram {
            interval: std::time::Duration::from_hours(1),
            buckets: vec![(first, found.len() as u64)],
        });
        let fields = fields
            .into_iter()
            .map(|field| {
                let mut counts = std::collections::BTreeMap::<String, u64>::new();
                for event in &found {
                    let document = event.to_json();
                    let value = document.pointer(&format!("/{}", field.replace('.', "/")));
                    if let Some(value) = value.and_then(Value::as_str) {
                        *counts.entry(value.to_owned()).or_default() += 1;
                    }
                }
                let (distinct, events) = (counts.len() as u64, counts.values().sum());
                let values = counts.into_iter().take(top).collect();
                FieldStatistics { field, values, distinct, events, longer: 0 }
            })
            .collect();
        let total = found.len() as u64;
        Ok(Statistics { total, extent, histogram, fields, warnings: Vec::new() })
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Event>, HuntError> {
        let events = self.0.lock().unwrap();
        Ok(events.iter().find(|event| event.id() == id && scope.allows(event.commune())).cloned())
    }
}

/// One rule; asking for another called `panic` panics.
struct OneRule;

#[async_trait]
impl Rules for OneRule {
    fn list(&self) -> Vec<RuleSummary> {
        self.get("rule-1").map(|rule| rule.summary).into_iter().collect()
    }

    fn get(&self, id: &str) -> Option<RuleDetail> {
        assert_ne!(id, "panic", "a secret of the server");
        (id == "rule-1").then(|| RuleDetail {
            summary: RuleSummary {
                id: "rule-1".to_owned(),
                title: "Rule one".to_owned(),
                level: Level::High,
                status: Some("stable".to_owned()),
                tags: vec!["attack.t1003.001".to_owned()],
                logsource: api::RuleLogsource {
                    product: Some("windows".to_owned()),
                    ..Default::default()
                },
                version: "0123456789ab".to_owned(),
                kept: None,
            },
            description: Some("What it means".to_owned()),
            false_positives: vec!["Backups".to_owned()],
            references: Vec::new(),
            author: None,
            text: "title: Rule one\n".to_owned(),
        })
    }

    fn status(&self) -> RulesStatus {
        RulesStatus { loaded: 1, ..RulesStatus::default() }
    }

    async fn reload(&self, _: &str) -> Result<Reload, String> {
        Ok(Reload {
            at: Timestamp::now(),
            took_ms: 0,
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            status: self.status(),
        })
    }

    async fn policies_changed(&self) -> Result<(), String> {
        Ok(())
    }

    fn in_commune(&self, id: &str, commune: &CommuneId) -> Option<RuleInCommune> {
        let enabled = commune.as_str() != "talant";
        (id == "rule-1").then_some(RuleInCommune { enabled, level: Level::High })
    }

    fn check_selector(&self, selector: &str) -> Result<(String, usize), String> {
        match selector {
            "id:rule-1" => Ok((selector.to_owned(), 1)),
            other => Err(format!("{other:?} selects no rules")),
        }
    }

    /// Any text with a title is a filter here.
    fn check_filter(&self, filter: &str) -> Result<CheckedFilter, RuleRefusal> {
        match filter.strip_prefix("title: ") {
            Some(title) => {
                let title = title.lines().next().unwrap_or_default().to_owned();
                Ok(CheckedFilter { title, rules: vec!["rule-1".to_owned()] })
            }
            None => Err(RuleRefusal {
                path: "filter".to_owned(),
                line: 3,
                rule: None,
                title: None,
                reason: "no title".to_owned(),
            }),
        }
    }
}

/// One indicator of each commune's own source, and one of a source for all.
struct OneIndicatorEach;

impl OneIndicatorEach {
    fn all(scope: &Scope) -> Vec<IndicatorAnswer> {
        let of = |name: &str, commune: Option<&str>| {
            let seen = commune.is_none_or(|id| scope.allows(&CommuneId::new(id).unwrap()));
            let value = format!("{name}.evil.example");
            seen.then(|| IndicatorAnswer {
                indicator: event::IndicatorRef {
                    source: event::IndicatorSourceId::new(name).unwrap(),
                    indicator: event::Indicator::new(event::IndicatorType::Domain, value),
                },
                level: Level::Medium,
                valid: true,
                allowed: false,
            })
        };
        let each =
            [of("all", None), of("dijon", Some("dijon")), of("talant-secret", Some("talant"))];
        each.into_iter().flatten().collect()
    }
}

impl Indicators for OneIndicatorEach {
    fn look_up(&self, scope: &Scope, value: &str) -> Result<Vec<IndicatorAnswer>, String> {
        let mut all = Self::all(scope);
        all.retain(|found| found.indicator.indicator.value == value);
        Ok(all)
    }

    fn list(
        &self,
        scope: &Scope,
        source: Option<&str>,
        from: usize,
        limit: usize,
    ) -> Result<(Vec<IndicatorAnswer>, Option<usize>), String> {
        let mut all = Self::all(scope);
        all.retain(|found| source.is_none_or(|name| found.indicator.source.as_str() == name));
        let end = (from + limit).min(all.len());
        let next = (end < all.len()).then_some(end);
        Ok((all.get(from..end).unwrap_or_default().to_vec(), next))
    }

    fn sources(&self, scope: &Scope) -> Result<Vec<IndicatorSource>, String> {
        let source = |found: &IndicatorAnswer| IndicatorSource {
            name: found.indicator.source.to_string(),
            kind: "import",
            indicators: 1,
            refused: 0,
            refusals: Vec::new(),
            communes: None,
            level: None,
            changed: None,
            succeeded: None,
            failed: None,
            error: None,
        };
        Ok(Self::all(scope).iter().map(source).collect())
    }
}

/// A part that works or does not.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) broken: AtomicBool,
}

#[async_trait]
impl Health for Part {
    async fn ready(&self) -> Vec<Check> {
        let ok = !self.broken.load(Ordering::Relaxed);
        vec![Check { name: "bus".to_owned(), ok, detail: "at /secret/path".to_owned() }]
    }
}

/// Everything that a test asks or looks at.
pub(crate) struct Centre {
    pub(crate) router: Router,
    pub(crate) local: Router,
    pub(crate) api: Api,
    pub(crate) db: SharedDatabase,
    pub(crate) hunt: Arc<ListHunt>,
    pub(crate) health: Arc<Part>,
    pub(crate) trail: Arc<Trail>,
    pub(crate) feeds_changed: Arc<AtomicUsize>,
    pub(crate) dijon: Whose,
    pub(crate) talant: Whose,
    pub(crate) tokens: Tokens,
    /// Another incident of Dijon, where a test made one.
    pub(crate) another: Option<IncidentId>,
    next_offset: Mutex<u64>,
    _dir: tempfile::TempDir,
    _held: DataDir,
}

/// What one commune has.
pub(crate) struct Whose {
    pub(crate) incident: IncidentId,
    /// The id of its one exception from a rule.
    pub(crate) exception: String,
    /// The id of its one hold.
    pub(crate) hold: String,
    /// The id of its one purge.
    pub(crate) purge: String,
    /// A hunt shared there.
    pub(crate) hunt: String,
    /// A report of it.
    pub(crate) report: String,
    /// The id of its one notice, which was given up.
    pub(crate) notice: u64,
    pub(crate) events: Vec<Event>,
}

/// Tokens in clear.
pub(crate) struct Tokens {
    pub(crate) admin: String,
    /// Analyst of all communes.
    pub(crate) soc: String,
    /// Analyst of Dijon.
    pub(crate) analyst: String,
    /// Reader of Dijon.
    pub(crate) reader: String,
    pub(crate) expired: String,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem of `status`; its JSON.
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        assert!(problem["type"].as_str().unwrap().starts_with("urn:jacquemart:problem:"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem
    }
}

pub(crate) fn commune(id: &str) -> CommuneId {
    CommuneId::new(id).unwrap()
}

pub(crate) fn windows() -> FormatName {
    FormatName::new("windows").unwrap()
}

fn an_event(of: &str, offset: u64, timestamp: Timestamp) -> Event {
    let text = format!("{of}-secret happened on {of}-host, number {offset}");
    let record = Record {
        commune: commune(of),
        feed: FeedId::new(&format!("{of}-pc")).unwrap(),
        format: windows(),
        received: timestamp,
        raw: Bytes::from(text),
        context: None,
    };
    let mut builder = EventBuilder::new(record, EventId::of(BUS, 0, offset, timestamp));
    builder.set_timestamp(timestamp);
    builder.push_json("host", "name", &json!(format!("{of}-host")));
    builder.build()
}

/// A detection of `rule` on `event`.
pub(crate) fn a_detection(event: &Event, rule: &str, level: Level) -> Detection {
    Detection {
        id: DetectionId::of(rule, event.id()),
        commune: event.commune().clone(),
        feed: event.feed().clone(),
        format: event.format().clone(),
        rule: RuleRef {
            id: rule.to_owned(),
            name: format!("Name of {rule}"),
            level,
            version: "0123456789ab".to_owned(),
            tags: vec!["attack.t1003.001".to_owned()],
        },
        event_id: event.id(),
        timestamp: event.timestamp(),
        received: event.received(),
        detected: event.received(),
        entities: vec![Entity {
            kind: EntityKind::Host,
            name: format!("{}-host", event.commune()),
        }],
        matched: Vec::new(),
        indicator: None,
        event: event.to_json(),
        values: Vec::new(),
        correlation: None,
    }
}

impl Centre {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::hold(dir.path()).unwrap();
        let url = format!("sqlite://{}/jacquemart.db", dir.path().display());
        let db = db::connect(&url).await.unwrap();
        let (hunt, health) = (Arc::<ListHunt>::default(), Arc::<Part>::default());
        let feeds_changed = Arc::new(AtomicUsize::new(0));
        let trail = Trail::open(TrailConfig::in_folder(&dir.path().join("audit"))).await;
        let trail = Arc::new(trail.unwrap());
        let metrics = Registry::new_custom(Some("jacquemart".to_owned()), None).unwrap();
        let changed = Arc::clone(&feeds_changed);
        let api = Api {
            db: Arc::clone(&db),
            hunt: Arc::clone(&hunt) as _,
            rules: Arc::new(OneRule),
            indicators: Arc::new(OneIndicatorEach),
            feeds_changed: Arc::new(move || {
                changed.fetch_add(1, Ordering::Relaxed);
            }),
            feed_watch: Arc::new(OneFailure),
            formats: vec![windows(), FormatName::new("pradeo-mtd").unwrap()],
            health: Arc::clone(&health) as _,
            requests: RequestMetrics::register(&metrics).unwrap(),
            metrics,
            audit: api::Audit::new(Arc::clone(&trail)),
            streams: api::Streams::default(),
            stopping: CancellationToken::new(),
            metrics_open: false,
        };
        let router = api::router(api.clone());
        let operator = Caller::operator(&held);
        let scope = operator.scope().clone();
        let operator = LocalOperator(operator);
        let local = api::router(api.clone()).layer(Extension(operator));
        let next_offset = Mutex::new(0);
        // It is told of what is opened from now on.
        db.make_notices(&hook(), Timestamp::now()).await.unwrap();
        let dijon = raise_in(&db, &hunt, &next_offset, &scope, "dijon").await;
        let talant = raise_in(&db, &hunt, &next_offset, &scope, "talant").await;
        let tokens = Tokens::add(&db).await;
        Self {
            router,
            local,
            api,
            db,
            hunt,
            health,
            trail,
            feeds_changed,
            dijon,
            talant,
            tokens,
            another: None,
            next_offset,
            _dir: dir,
            _held: held,
        }
    }

    /// Another incident of `of`, about a host of its own.
    pub(crate) async fn another_incident(&self, of: &str, host: &str) -> IncidentId {
        let offset = next(&self.next_offset);
        let event = an_event(of, offset, Timestamp::now());
        let mut detection = a_detection(&event, "rule-1", Level::Medium);
        detection.entities = vec![Entity { kind: EntityKind::Host, name: host.to_owned() }];
        let position = Position { bus: BUS, partition: 0, next: offset + 1 };
        let raised = self.db.raise(&[detection], position, Timestamp::now()).await.unwrap();
        raised[0].incident.unwrap()
    }

    /// The audit trail's records, the latest first.
    pub(crate) fn audited(&self) -> Vec<store::audit::Record> {
        let query = store::audit::AuditQuery { limit: 10_000, ..Default::default() };
        store::audit::read(self.trail.folder(), &query).unwrap()
    }

    pub(crate) async fn get(&self, token: &str, uri: &str) -> Answer {
        self.ask(Method::GET, uri, Some(token), None).await
    }

    pub(crate) async fn send(&self, token: &str, method: Method, uri: &str, body: Value) -> Answer {
        self.ask(method, uri, Some(token), Some(&body)).await
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        uri: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        answer(&self.router, request.body(body).unwrap()).await
    }
}

/// Asks `router` in process.
pub(crate) async fn answer(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

fn next(offsets: &Mutex<u64>) -> u64 {
    let mut offset = offsets.lock().unwrap();
    *offset += 1;
    *offset
}

async fn raise_in(
    db: &SharedDatabase,
    hunt: &ListHunt,
    offsets: &Mutex<u64>,
    scope: &Scope,
    of: &str,
) -> Whose {
    let now = Timestamp::now();
    let id = commune(of);
    db.add_commune(Commune { id: id.clone(), name: of.to_owned(), created: now }).await.unwrap();
    let feed = Feed {
        id: FeedId::new(&format!("{of}-pc")).unwrap(),
        commune: id,
        format: windows(),
        name: format!("PCs of {of}"),
        created: now,
    };
    db.add_feed(feed, Secret::generate("jqf").unwrap().hash()).await.unwrap();
    let mut events = Vec::new();
    for minutes in 0..EVENTS as u64 {
        let at = now.minus(std::time::Duration::from_secs(60 * (minutes + 1)));
        events.push(an_event(of, next(offsets), at));
    }
    hunt.0.lock().unwrap().extend(events.iter().cloned());
    let detections: Vec<_> =
        events.iter().map(|event| a_detection(event, "rule-1", Level::High)).collect();
    let position = Position { bus: BUS, partition: 0, next: *offsets.lock().unwrap() + 1 };
    let raised = db.raise(&detections, position, now).await.unwrap();
    let incident = raised[0].incident.unwrap();
    assert!(raised.iter().all(|raised| raised.incident == Some(incident)));
    let exception = NewException {
        title: format!("talk of {of}-secret"),
        filter: format!("title: {of}-secret\n"),
        owner: format!("{of}-host"),
        reason: "a test".to_owned(),
        expires: now.plus(std::time::Duration::from_hours(1)),
    };
    let excepted = db.except_rules(scope, &commune(of), exception, "soc", now).await.unwrap();
    let hold = NewHold {
        commune: commune(of),
        feed: None,
        from: None,
        to: None,
        reason: format!("{of}'s secret reason"),
    };
    let hold = db.place_hold(scope, hold, "soc", now).await.unwrap();
    let set = SetTargets {
        commune: Some(commune(of)),
        severity: Level::High,
        own: OwnTargets { acknowledge_min: Some(9), ..OwnTargets::default() },
    };
    db.set_targets(set).await.unwrap();
    db.set_regime(&commune(of), Some(Regime::Essential)).await.unwrap();
    let purge = NewPurge {
        commune: commune(of),
        query: format!("user.name:{of}-secret"),
        from: None,
        to: None,
        reason: format!("{of}'s secret reason"),
    };
    let purge = db.ask_purge(scope, purge, "soc", now).await.unwrap();
    let hunt = NewSavedHunt {
        name: format!("{of}-secret"),
        query: format!("user.name:{of}-secret"),
        note: None,
        commune: Some(commune(of)),
        shared: true,
    };
    let hunt = db.save_hunt(scope, hunt, "soc", now).await.unwrap();
    let report = NewReport {
        commune: Some(commune(of)),
        from: now.minus(std::time::Duration::from_hours(1)),
        to: now,
        figures: format!("{{\"secret\":\"{of}-secret\"}}"),
    };
    let report = db.keep_report(scope, report, "soc", now).await.unwrap();
    Whose {
        incident,
        exception: excepted.id,
        hold: hold.id,
        purge: purge.id,
        report: report.info.id,
        hunt: hunt.id,
        notice: given_up(db, incident).await,
        events,
    }
}

/// A notice of `incident` that could not be sent.
async fn given_up(db: &SharedDatabase, incident: IncidentId) -> u64 {
    let now = Timestamp::now();
    db.make_notices(&hook(), now).await.unwrap();
    let due = db.due_notices("soc", now, 100).await.unwrap();
    let notice = due.iter().find(|notice| notice.incident == incident).unwrap().id;
    let error = "the receiver is not reachable".to_owned();
    db.settle_notice(notice, NoticeOutcome::Dead { error }, now).await.unwrap();
    notice
}

/// Told of everything that is opened.
fn hook() -> Hook {
    Hook {
        name: "soc".to_owned(),
        communes: None,
        severity_min: Level::Low,
        kinds: [NoticeKind::Opened].into(),
        unacknowledged_after: std::time::Duration::ZERO,
    }
}

impl Tokens {
    async fn add(db: &SharedDatabase) -> Self {
        let all = None;
        let dijon = Some(vec![commune("dijon")]);
        let now = Timestamp::now();
        let hour = std::time::Duration::from_hours(1);
        let add = async |name: &str, role, communes: &Option<Vec<CommuneId>>, created, expires| {
            let secret = Secret::generate("jqt").unwrap();
            let token = TokenInfo {
                name: name.to_owned(),
                role,
                communes: communes.clone(),
                created,
                expires,
            };
            db.add_token(token, secret.hash()).await.unwrap();
            secret.reveal().to_owned()
        };
        Self {
            admin: add("admin", Role::Admin, &all, now, None).await,
            soc: add("soc", Role::Analyst, &all, now, None).await,
            analyst: add("dijon-analyst", Role::Analyst, &dijon, now, None).await,
            reader: add("dijon-reader", Role::Reader, &dijon, now, Some(now.plus(hour))).await,
            expired: add("gone", Role::Admin, &all, now.minus(hour), Some(now.minus(hour / 2)))
                .await,
        }
    }
}
