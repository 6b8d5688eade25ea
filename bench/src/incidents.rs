//! Detections into incidents, and incidents through the API, when there are many of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use event::{
    BusId, Commune, CommuneId, Detection, DetectionId, Entity, EntityKind, EventId, FeedId,
    FormatName, IncidentId, Level, RuleRef, Timestamp,
};
use serde_json::{Value, json};
use store::{
    auth::{Role, Secret, TokenInfo},
    db::{self, Database, Position},
};

use crate::{
    Incidents,
    centre::{Centre, Prepared},
};

const BUS: BusId = BusId::from_bytes([9; 16]);

/// As many as the raise stage takes at once.
const BATCH: usize = 500;

const COMMUNES: u64 = 24;

/// Incidents that grow at the same time.
const ACTIVE: u64 = 200;

const RULES: u64 = 300;

/// What a question is called, and its requests.
type Question<'a> = (&'static str, &'a Asker, Vec<(reqwest::Method, String, Option<Value>)>);

pub(crate) async fn run(args: Incidents) -> anyhow::Result<()> {
    let prepared = Prepared::new(args.jacquemart.as_deref(), "windows", &[])?;
    let url = format!("sqlite://{}", prepared.database().display());
    let db = db::connect(&url).await?;
    let (soc, reader) = tokens(&*db).await?;
    let raised = raise(&*db, &args).await?;
    db.close().await;
    drop(db);
    let bytes = std::fs::metadata(prepared.database())?.len();
    let centre = prepared.start()?;
    let asked = ask(&centre, &raised.ids, &soc, &reader, args.samples).await?;
    let memory = centre.memory_bytes("VmHWM")?;
    centre.stop()?;
    let result = json!({
        "incidents": raised.ids.len(),
        "detections": raised.detections,
        "database_bytes": bytes,
        "serve_peak_memory_bytes": memory,
        "raised_per_s": { "all": raised.rate, "last_tenth": raised.last_rate },
        "milliseconds": asked,
    });
    if args.json {
        println!("{result:#}");
        return Ok(());
    }
    println!(
        "{} incidents of {} detections, database of {} MB",
        raised.ids.len(),
        raised.detections,
        bytes / 1_000_000
    );
    println!(
        "raised: {:.0} detections/s, {:.0} over the last tenth (batches of {BATCH}, each durable)",
        raised.rate, raised.last_rate
    );
    println!("{:<44} {:>8} {:>8} {:>8}", "asked over HTTP, milliseconds", "p50", "p95", "max");
    for (question, times) in &asked {
        println!(
            "{question:<44} {:>8.1} {:>8.1} {:>8.1}",
            times["p50"].as_f64().unwrap_or_default(),
            times["p95"].as_f64().unwrap_or_default(),
            times["max"].as_f64().unwrap_or_default(),
        );
    }
    println!("serve's peak memory: {} MB", memory / 1_000_000);
    Ok(())
}

async fn tokens(db: &dyn Database) -> anyhow::Result<(Secret, Secret)> {
    let now = Timestamp::now();
    for n in 0..COMMUNES {
        let id = commune(n)?;
        db.add_commune(Commune { name: id.to_string(), id, created: now }).await?;
    }
    let add = async |name: &str, communes| -> anyhow::Result<Secret> {
        let secret = Secret::generate("jqt")?;
        let (name, role) = (name.to_owned(), Role::Analyst);
        let token = TokenInfo { name, role, communes, created: now, expires: None };
        db.add_token(token, secret.hash()).await?;
        Ok(secret)
    };
    Ok((add("soc", None).await?, add("reader", Some(vec![commune(1)?])).await?))
}

fn commune(n: u64) -> anyhow::Result<CommuneId> {
    Ok(CommuneId::new(&format!("commune-{n}"))?)
}

struct Raised {
    ids: Vec<IncidentId>,
    detections: u64,
    rate: f64,
    last_rate: f64,
}

/// Raises as the raise stage does. Incidents grow side by side, a few hundred at a time.
async fn raise(db: &dyn Database, args: &Incidents) -> anyhow::Result<Raised> {
    let total = args.incidents * args.detections_each;
    let mut ids = Vec::new();
    let (mut batch, mut done) = (Vec::with_capacity(BATCH), 0);
    let (mut busy, mut last_busy) = (Duration::ZERO, Duration::ZERO);
    let last_from = total - total / 10;
    for n in 0..total {
        batch.push(detection(n, args.detections_each)?);
        done += 1;
        if batch.len() == BATCH || done == total {
            let position = Position { bus: BUS, partition: 0, next: done };
            let started = Instant::now();
            let raised = db.raise(&batch, position, Timestamp::now()).await?;
            busy += started.elapsed();
            if done > last_from {
                last_busy += started.elapsed();
            }
            ids.extend(
                raised
                    .into_iter()
                    .filter(|raised| raised.kind == db::RaisedKind::Opened)
                    .filter_map(|raised| raised.incident),
            );
            batch.clear();
        }
    }
    ensure!(ids.len() as u64 == args.incidents, "{} incidents were opened", ids.len());
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    Ok(Raised {
        ids,
        detections: total,
        rate: rate(total, busy),
        last_rate: rate(total - last_from, last_busy),
    })
}

/// The `n`th detection. Those of one incident are of one host; a block of incidents grows
/// round by round. Times move on by a minute an incident.
fn detection(n: u64, each: u64) -> anyhow::Result<Detection> {
    let (block, within) = (n / (ACTIVE * each), n % (ACTIVE * each));
    let incident = block * ACTIVE + within % ACTIVE;
    let timestamp = Timestamp::from_secs(1_760_000_000 + 60 * i64::try_from(incident)?);
    let event_id = EventId::of(BUS, 0, n, timestamp);
    // A step that is prime to all of them spreads rules, communes and users.
    let spread = n.wrapping_mul(2_654_435_761) >> 7;
    let rule = spread % RULES;
    let of = commune(incident % COMMUNES)?;
    let host = format!("pc-{incident:06}.{of}.example");
    let user = format!("{of}\\user-{}", incident % 5_000);
    let rule = RuleRef {
        id: format!("bench-rule-{rule:03}"),
        name: format!("Suspicious activity of kind {rule}"),
        level: Level::ALL[1 + usize::try_from(rule)? % 4],
        version: "0123456789ab".to_owned(),
        tags: vec!["attack.execution".to_owned(), format!("attack.t{}", 1_000 + rule % 90)],
    };
    let command = format!(
        "C:\\Windows\\System32\\cmd.exe /c start {spread:016x} --task {n} --for {user} {}",
        "x".repeat(usize::try_from(spread % 300)?)
    );
    let event = json!({
        "@timestamp": timestamp, "event": {"id": event_id, "kind": "event", "module": "windows"},
        "host": {"name": host}, "user": {"name": user}, "organization": {"id": of},
        "process": {"command_line": command, "pid": spread % 65_536, "executable": "cmd.exe"},
        "message": format!("Process Create: {command} {spread:064x} {:0400}", n),
    });
    Ok(Detection {
        id: DetectionId::of(&rule.id, event_id),
        feed: FeedId::new("bench-feed")?,
        format: FormatName::new("windows")?,
        commune: of,
        rule,
        event_id,
        timestamp,
        received: timestamp,
        detected: timestamp,
        entities: vec![Entity { kind: EntityKind::Host, name: host }],
        matched: Vec::new(),
        values: Vec::new(),
        correlation: None,
        indicator: None,
        event,
    })
}

/// Who asks.
struct Asker {
    http: reqwest::Client,
    base: String,
    token: String,
}

async fn ask(
    centre: &Centre,
    ids: &[IncidentId],
    soc: &Secret,
    reader: &Secret,
    samples: usize,
) -> anyhow::Result<BTreeMap<&'static str, Value>> {
    use reqwest::Method;
    let asker = |secret: &Secret| -> anyhow::Result<Asker> {
        let http = reqwest::Client::builder().build()?;
        Ok(Asker { http, base: centre.api.clone(), token: secret.reveal().to_owned() })
    };
    let (soc, reader) = (asker(soc)?, asker(reader)?);
    // The incidents of another block each time, so that no page is in memory for it.
    let some = |n: usize| ids[(n * 7_919) % ids.len()];
    let each = |make: &dyn Fn(usize) -> String| -> Vec<(Method, String, Option<Value>)> {
        (0..samples).map(|n| (Method::GET, make(n), None)).collect()
    };
    let list = |query: &str| each(&|_| format!("/api/v1/incidents?{query}"));
    let work = |n: usize, body: Value| {
        (Method::PATCH, format!("/api/v1/incidents/{}", some(n)), Some(body))
    };
    let questions: Vec<Question<'_>> = vec![
        (
            "change one (assignee, label, comment)",
            &soc,
            (0..samples)
                .map(|n| {
                    let body = json!({
                        "assignee": format!("analyst-{}", n % 7), "labels": ["bench"],
                        "comment": "seen", "status": "in_progress",
                    });
                    work(n, body)
                })
                .collect(),
        ),
        ("list newest 50", &soc, list("")),
        ("list newest 50 of one's own commune", &reader, list("")),
        ("list by severity, open, nobody's", &soc, list("status=new&assignee=none&sort=severity")),
        (
            "list critical of one's own, by risk",
            &reader,
            list("severity_min=critical&sort=risk_score"),
        ),
        ("list in progress", &soc, list("status=in_progress")),
        ("list of a state that none has", &soc, list("status=resolved")),
        ("list of a label", &soc, list("label=bench")),
        ("list of an assignee", &soc, list("assignee=analyst-3")),
        (
            "list with a text that one has",
            &soc,
            each(&|n| format!("/api/v1/incidents?q=pc-{:06}", (n * 7_919) % ids.len())),
        ),
        ("list with a text that none has", &soc, list("q=nowhere-at-all")),
        (
            "list of a commune, oldest first",
            &soc,
            each(&|n| {
                format!("/api/v1/incidents?commune=commune-{}&sort=%2Bcreated", n as u64 % COMMUNES)
            }),
        ),
        (
            "open one (detections, timeline, risk)",
            &soc,
            each(&|n| format!("/api/v1/incidents/{}", some(n))),
        ),
        ("similar to one", &soc, each(&|n| format!("/api/v1/incidents/{}/similar", some(n)))),
        ("detections of one", &soc, each(&|n| format!("/api/v1/incidents/{}/detections", some(n)))),
    ];
    let mut asked = BTreeMap::new();
    for (question, asker, requests) in questions {
        asked.insert(question, times(asker, requests).await.context(question)?);
    }
    Ok(asked)
}

async fn times(
    asker: &Asker,
    requests: Vec<(reqwest::Method, String, Option<Value>)>,
) -> anyhow::Result<Value> {
    let mut times = Vec::with_capacity(requests.len());
    for (method, path, body) in requests {
        let request = asker.http.request(method, format!("{}{path}", asker.base));
        let mut request = request.bearer_auth(&asker.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let started = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        ensure!(status.is_success(), "{path}: {status} {text}");
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    Ok(json!({"p50": at(50), "p95": at(95), "max": at(100)}))
}
