//! Asking the API what it caught, as an analyst would.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use event::{Detection, EventId, Level, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use crate::{Failure, cli::Server, client::Client};

const ASK_EVERY: Duration = Duration::from_millis(200);

/// The API as one caller.
pub(super) struct Api(Client);

impl Api {
    pub(super) fn new(address: SocketAddr, token: &str) -> Result<Self, Failure> {
        let server =
            Server { url: Some(format!("http://{address}")), token: Some(token.to_owned()) };
        Client::network(&server).map(Self)
    }

    /// Every incident that this caller sees.
    pub(super) async fn incidents(&self) -> Result<Vec<Value>, Failure> {
        self.all("/api/v1/incidents", &[]).await
    }

    async fn detections(&self, incident: &str) -> Result<Vec<Detection>, Failure> {
        let items = self.all(&format!("/api/v1/incidents/{incident}/detections"), &[]).await?;
        Ok(items.into_iter().map(serde_json::from_value).collect::<Result<_, _>>()?)
    }

    /// How many events are searchable.
    async fn events(&self) -> Result<u64, Failure> {
        let query = [("since", "1d".to_owned()), ("limit", "1".to_owned())];
        let answer = self.0.get("/api/v1/events", &query).await?;
        Ok(answer.get("total").and_then(Value::as_u64).unwrap_or(0))
    }

    async fn all(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", "1000".to_owned()));
            query.extend(cursor.take().map(|cursor: String| ("cursor", cursor)));
            let mut answer = self.0.get(path, &query).await?;
            if let Some(Value::Array(page)) = answer.get_mut("items").map(Value::take) {
                items.extend(page);
            }
            match answer.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }
}

/// When a stage was caught.
#[derive(Clone, Debug)]
pub(super) struct Catch {
    pub(super) rule: String,
    pub(super) level: Level,
    /// From receipt of the event to the detection.
    pub(super) detected_ms: u128,
    /// From sending the event to seeing its incident in the API.
    pub(super) seen_ms: u128,
}

/// What is known so far, shared by the player, the watcher and the view.
pub(super) struct Board(Mutex<State>);

pub(super) struct State {
    started: Instant,
    /// The stage of each record sent that belongs to one, by its text.
    staged: HashMap<String, (usize, Instant)>,
    expected_rules: Vec<HashSet<String>>,
    pub(super) sent: u64,
    pub(super) accepted: u64,
    pub(super) searchable: u64,
    pub(super) incidents: Vec<Value>,
    seen: HashSet<(EventId, String)>,
    versions: HashMap<String, u64>,
    pub(super) detections: u64,
    pub(super) catches: Vec<Option<Catch>>,
    /// Rules that fired on benign activity, with the event's text.
    benign: Vec<(String, String)>,
    /// Events of the attack that rules fired on.
    attack: HashSet<EventId>,
    /// Correlations that fired, with the events behind them.
    correlated: Vec<(String, Vec<EventId>)>,
}

impl Board {
    pub(super) fn new(capture: &Capture) -> Self {
        Self(Mutex::new(State {
            started: Instant::now(),
            staged: HashMap::new(),
            expected_rules: capture
                .stages
                .iter()
                .map(|stage| stage.rules.iter().cloned().collect())
                .collect(),
            sent: 0,
            accepted: 0,
            searchable: 0,
            incidents: Vec::new(),
            seen: HashSet::new(),
            versions: HashMap::new(),
            detections: 0,
            catches: vec![None; capture.stages.len()],
            benign: Vec::new(),
            attack: HashSet::new(),
            correlated: Vec::new(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `record` is about to be sent.
    pub(super) fn sending(&self, record: &str, stage: Option<usize>) {
        let mut state = self.lock();
        state.sent += 1;
        if let Some(stage) = stage {
            state.staged.insert(record.to_owned(), (stage, Instant::now()));
        }
    }

    pub(super) fn accepted(&self, count: u64) {
        self.lock().accepted += count;
    }
}

impl State {
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Rules that fired on benign activity, with the event's text, and correlations behind which
    /// no event of the attack is known. Asked at the end, since a correlation may be seen before
    /// the detections behind it.
    pub(super) fn benign(&self) -> Vec<(String, String)> {
        let correlated = self.correlated.iter().filter(|one| !self.is_of_attack(one));
        let correlated = correlated.map(|(rule, _)| (rule.clone(), String::new()));
        self.benign.iter().cloned().chain(correlated).collect()
    }

    /// The correlations that saw the attack.
    pub(super) fn correlations(&self) -> Vec<String> {
        let of_attack = self.correlated.iter().filter(|one| self.is_of_attack(one));
        let mut names: Vec<String> = of_attack.map(|(rule, _)| rule.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn is_of_attack(&self, (_, events): &(String, Vec<EventId>)) -> bool {
        events.iter().any(|event| self.attack.contains(event))
    }

    fn see(&mut self, detection: &Detection) {
        if !self.seen.insert((detection.event_id, detection.rule.id.clone())) {
            return;
        }
        self.detections += 1;
        if let Some(correlation) = &detection.correlation {
            if detection.rule.level > Level::Informational {
                let events = correlation.events.iter().copied().chain([detection.event_id]);
                self.correlated.push((detection.rule.name.clone(), events.collect()));
            }
            return;
        }
        let original =
            detection.event.pointer("/event/original").and_then(Value::as_str).unwrap_or_default();
        let Some((stage, sent)) = self.staged.get(original) else {
            if detection.rule.level > Level::Informational {
                self.benign.push((detection.rule.name.clone(), original.to_owned()));
            }
            return;
        };
        self.attack.insert(detection.event_id);
        if self.catches[*stage].is_none()
            && self.expected_rules[*stage].contains(&detection.rule.id)
        {
            self.catches[*stage] = Some(Catch {
                rule: detection.rule.name.clone(),
                level: detection.rule.level,
                detected_ms: detection.detected.since(detection.received).as_millis(),
                seen_ms: sent.elapsed().as_millis(),
            });
        }
    }
}

/// Asks until `done`, and once more after it.
pub(super) async fn run(board: &Board, api: &Api, done: &CancellationToken) -> Result<(), Failure> {
    loop {
        let last = done.is_cancelled();
        ask(board, api).await?;
        if last {
            return Ok(());
        }
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
    }
}

async fn ask(board: &Board, api: &Api) -> Result<(), Failure> {
    let incidents = api.incidents().await?;
    for incident in &incidents {
        let id = incident.get("id").and_then(Value::as_str).unwrap_or_default();
        let version = incident.get("version").and_then(Value::as_u64).unwrap_or(0);
        if board.lock().versions.get(id) == Some(&version) {
            continue;
        }
        let detections = api.detections(id).await?;
        let mut state = board.lock();
        for detection in &detections {
            state.see(detection);
        }
        state.versions.insert(id.to_owned(), version);
    }
    let searchable = api.events().await?;
    let mut state = board.lock();
    state.incidents = incidents;
    state.searchable = searchable;
    Ok(())
}

/// Waits until `accepted` events are searchable and nothing new was raised for a while, at
/// most `wait`; how many are searchable then.
pub(super) async fn settle(
    board: &Board,
    api: &Api,
    accepted: u64,
    wait: Duration,
) -> Result<u64, Failure> {
    let until = Instant::now() + wait;
    let mut quiet_since: Option<(Timestamp, u64)> = None;
    loop {
        let found = api.events().await?;
        let detections = board.lock().detections;
        let now = Timestamp::now();
        match quiet_since {
            Some((since, before)) if before == detections && found >= accepted => {
                if now.since(since) > Duration::from_millis(1_500) {
                    return Ok(found);
                }
            }
            _ => quiet_since = Some((now, detections)),
        }
        if Instant::now() > until {
            return Ok(found);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
