//! How detections become incidents: which they join and what they change there.
//!
//! Pure, so that every backend groups alike. A backend looks for the first opened of the open
//! incidents of the commune that has one of the detection's [`Facts::links`] and events within
//! [`Facts::window`], then either [`join`]s it or [`open`]s another.

use std::time::Duration;

use event::{
    CommuneId, Detection, DetectionId, Entity, EntityKind, IncidentId, Level, RuleRef, Timestamp,
};

use super::{Incident, IncidentStatus, TimelineEntry, TimelineKind, risk};

/// A detection joins an incident whose events are at most so far from its own, earlier or
/// later, by the events' own clocks. A day holds an attack's usual pauses.
pub const JOIN_WINDOW: Duration = Duration::from_hours(24);

/// The most entities an incident lists and is joined by; detections still join, and their
/// further entities are seen in them. It also ends the growth of an incident through accounts
/// that are used everywhere.
pub const ENTITIES_MAX: usize = 256;

/// The most joined detections that a timeline lists; a storm beyond it is only counted.
pub const TIMELINE_JOINED_MAX: u64 = 500;

/// Who writes what happens by itself into timelines.
pub(super) const MACHINE: &str = "jacquemart";

const TAGS_MAX: usize = 256;
const ENTITY_CHARS_MAX: usize = 256;
const TITLE_CHARS_MAX: usize = 256;

/// Accounts that exist on every machine, so that two machines sharing them have nothing in
/// common; French and English Windows, Unix.
const SHARED_ACCOUNTS: &[&str] = &[
    "system",
    "système",
    "systeme",
    "local service",
    "service local",
    "network service",
    "service réseau",
    "service reseau",
    "localservice",
    "networkservice",
    "anonymous logon",
    "anonyme",
    "anonymous",
    "root",
    "nobody",
];

/// What a detection has in common with others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Link {
    /// `host`, `device`, `user` or `rule`.
    pub(super) kind: &'static str,
    /// Its name; a rule's id.
    pub(super) name: String,
}

/// What grouping looks at in a detection.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) id: DetectionId,
    pub(super) commune: CommuneId,
    pub(super) rule: RuleRef,
    pub(super) timestamp: Timestamp,
    entities: Vec<Entity>,
}

impl Facts {
    pub(super) fn of(detection: &Detection) -> Self {
        let mut entities = Vec::with_capacity(detection.entities.len().min(ENTITIES_MAX));
        for entity in detection.entities.iter().filter(|entity| !entity.name.is_empty()) {
            if entities.len() == ENTITIES_MAX {
                break;
            }
            let name = clipped(&entity.name, ENTITY_CHARS_MAX);
            let entity = Entity { kind: entity.kind, name };
            if !entities.contains(&entity) {
                entities.push(entity);
            }
        }
        Self {
            id: detection.id,
            commune: detection.commune.clone(),
            rule: detection.rule.clone(),
            timestamp: detection.timestamp,
            entities,
        }
    }

    /// Whether it is kept without an incident.
    pub(super) fn is_silent(&self) -> bool {
        self.rule.level == Level::Informational
    }

    /// What it is joined by: the hosts, devices and users of its own, or its rule where it
    /// names none.
    pub(super) fn links(&self) -> Vec<Link> {
        let mut links = links_of(&self.entities);
        if links.is_empty() {
            links.push(Link { kind: "rule", name: self.rule.id.clone() });
        }
        links
    }

    /// An incident is near whose first event is at or before the end and whose last event is
    /// at or after the beginning.
    pub(super) fn window(&self) -> (Timestamp, Timestamp) {
        (self.timestamp.minus(JOIN_WINDOW), self.timestamp.plus(JOIN_WINDOW))
    }

    /// The entity to name in a title: a computer or phone rather than a user, and no account
    /// that every machine has while there is another.
    fn main_entity(&self) -> Option<&Entity> {
        self.entities.iter().min_by_key(|entity| (is_shared(entity), entity.kind))
    }

    fn entry(&self, now: Timestamp, opened: bool) -> TimelineEntry {
        let (detection, rule) = (self.id, self.rule.name.clone());
        let kind = if opened {
            TimelineKind::Opened { detection, rule }
        } else {
            TimelineKind::Joined { detection, rule }
        };
        TimelineEntry { at: now, by: MACHINE.to_owned(), kind }
    }
}

/// What incidents with `entities` are joined by.
pub(super) fn links_of(entities: &[Entity]) -> Vec<Link> {
    entities
        .iter()
        .filter(|entity| !is_shared(entity))
        .map(|entity| Link { kind: entity.kind.as_str(), name: entity.name.clone() })
        .collect()
}

fn is_shared(entity: &Entity) -> bool {
    let account = entity.name.rsplit('\\').next().unwrap_or_default();
    entity.kind == EntityKind::User && SHARED_ACCOUNTS.contains(&account)
}

/// The incident that a detection opens, and its timeline's first entry. What it is joined by
/// are the detection's links.
pub(super) fn open(facts: &Facts, number: u64, now: Timestamp) -> (Incident, TimelineEntry) {
    let mut incident = Incident {
        id: IncidentId::of(facts.id),
        number,
        commune: facts.commune.clone(),
        title: title(&facts.rule, facts.main_entity()),
        severity: facts.rule.level,
        severity_detected: facts.rule.level,
        severity_override: None,
        risk_score: 0,
        status: IncidentStatus::New,
        verdict: None,
        assignee: None,
        labels: Vec::new(),
        entities: facts.entities.clone(),
        tags: Vec::new(),
        detections: 1,
        first_event: facts.timestamp,
        last_event: facts.timestamp,
        created: now,
        updated: now,
        acknowledged: None,
        contained: None,
        nis2_aware: None,
        clocks: Vec::new(),
        due: None,
        resolved: None,
        closed: None,
        merged_into: None,
        version: 1,
    };
    add_tags(&mut incident.tags, &facts.rule.tags);
    weigh(&mut incident, risk::points(facts.rule.level));
    (incident, facts.entry(now, true))
}

/// What a detection changed in the incident that it joined.
pub(super) struct Joined {
    /// What it can be joined by from now on, beside what it could be before.
    pub(super) links: Vec<Link>,
    /// For the timeline; `None` once it lists enough of them.
    pub(super) entry: Option<TimelineEntry>,
}

/// Adds a detection to `incident`, whose rules come to `rules_points` with it.
pub(super) fn join(
    incident: &mut Incident,
    facts: &Facts,
    rules_points: u32,
    now: Timestamp,
) -> Joined {
    if facts.rule.level > incident.severity_detected {
        incident.severity_detected = facts.rule.level;
        incident.title = title(&facts.rule, facts.main_entity().or(incident.entities.first()));
    }
    let known = incident.entities.len();
    for entity in &facts.entities {
        if incident.entities.len() < ENTITIES_MAX && !incident.entities.contains(entity) {
            incident.entities.push(entity.clone());
        }
    }
    add_tags(&mut incident.tags, &facts.rule.tags);
    let listed = incident.detections <= TIMELINE_JOINED_MAX;
    incident.detections += 1;
    incident.first_event = incident.first_event.min(facts.timestamp);
    incident.last_event = incident.last_event.max(facts.timestamp);
    incident.updated = incident.updated.max(now);
    incident.version += 1;
    weigh(incident, rules_points);
    Joined {
        links: links_of(&incident.entities[known..]),
        entry: listed.then(|| facts.entry(now, false)),
    }
}

/// Takes all of `other` into `incident`, whose rules come to `rules_points` with it.
pub(super) fn absorb(incident: &mut Incident, other: &Incident, rules_points: u32, now: Timestamp) {
    for entity in &other.entities {
        if incident.entities.len() < ENTITIES_MAX && !incident.entities.contains(entity) {
            incident.entities.push(entity.clone());
        }
    }
    add_tags(&mut incident.tags, &other.tags);
    if other.severity_detected > incident.severity_detected {
        incident.severity_detected = other.severity_detected;
        incident.title.clone_from(&other.title);
    }
    if let Some(aware) = other.nis2_aware {
        incident.nis2_aware = Some(incident.nis2_aware.map_or(aware, |own| own.min(aware)));
        // What was reported of the one was reported of both.
        for sent in other.clocks.iter().filter(|sent| sent.name.report().is_some()) {
            match incident.clocks.iter_mut().find(|own| own.name == sent.name) {
                Some(own) => own.met = own.met.or(sent.met),
                None => incident.clocks.push(*sent),
            }
        }
    }
    incident.detections += other.detections;
    incident.first_event = incident.first_event.min(other.first_event);
    incident.last_event = incident.last_event.max(other.last_event);
    incident.updated = incident.updated.max(now);
    incident.version += 1;
    weigh(incident, rules_points);
}

/// Adds up its risk anew.
fn weigh(incident: &mut Incident, rules_points: u32) {
    incident.risk_score = risk::score(rules_points, &incident.tags);
    if incident.severity_override.is_none() {
        incident.severity = computed_severity(incident);
    }
}

/// How severe it is where nobody says otherwise.
pub(super) fn computed_severity(incident: &Incident) -> Level {
    incident.severity_detected.max(risk::severity(incident.risk_score))
}

fn title(rule: &RuleRef, entity: Option<&Entity>) -> String {
    match entity {
        None => clipped(&rule.name, TITLE_CHARS_MAX),
        Some(entity) => clipped(&format!("{} — {}", rule.name, entity.name), TITLE_CHARS_MAX),
    }
}

fn add_tags(tags: &mut Vec<String>, more: &[String]) {
    for tag in more.iter().filter(|tag| tag.starts_with("attack.")) {
        if let Err(place) = tags.binary_search(tag)
            && tags.len() < TAGS_MAX
        {
            tags.insert(place, tag.clone());
        }
    }
}

/// At most `chars_max` characters of `text`; an ellipsis is the last where some were cut.
fn clipped(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}
