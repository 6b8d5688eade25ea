//! Creating the topics, and looking whether they are as they have to be.

use std::{fmt, time::Duration};

use event::BusId;
use rdkafka::error::KafkaError;

use super::{
    super::{Topic, random},
    KafkaConfig,
    brokers::{create, layout, read_id, retentions, sizes, write_id},
    config::ROOM_BYTES,
};

/// How the topics are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Partitions of `records`: how many workers may detect and index at once.
    pub records_partitions: u32,
    /// Partitions of `detections`. Correlations see one commune whole in any case; those across
    /// communes want 1.
    pub detections_partitions: u32,
    /// Copies of each; 0 is three, or as many as there are brokers.
    pub replication: u32,
    /// Copies that must have a message before it is acknowledged; 0 is one less than there are.
    pub min_insync_replicas: u32,
    /// How long Kafka keeps what came, whether read or not.
    pub retention: Duration,
}

impl Default for TopicPlan {
    fn default() -> Self {
        Self {
            records_partitions: 6,
            detections_partitions: 1,
            replication: 0,
            min_insync_replicas: 0,
            retention: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl TopicPlan {
    fn of(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Records => self.records_partitions,
            Topic::Detections => self.detections_partitions,
        }
    }
}

/// One thing that [`check`] looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it has to be.
    pub ok: bool,
    /// What it is about, e.g. `jacquemart.records: min.insync.replicas`.
    pub what: String,
    /// How it is, and what to do where it is not right.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.ok { "ok    " } else { "WRONG " };
        write!(f, "{mark}{}: {}", self.what, self.detail)
    }
}

/// Why the bus can't be used or set up. The texts complete "failed to open the bus: …".
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A property is unknown or wrong, or its file can't be read.
    #[error("{source}; see [kafka] in docs/configuration.md")]
    Client {
        /// What librdkafka said.
        source: KafkaError,
    },
    /// No broker answered.
    #[error(
        "{brokers}: {source}; are the addresses, TLS and credentials right, and is a broker up?"
    )]
    Unreachable {
        /// The addresses.
        brokers: String,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// There is no such topic.
    #[error("topic {0} does not exist; create it and the others with `jacquemart bus init`")]
    TopicMissing(String),
    /// One topic is there, and one that belongs to it is not.
    #[error(
        "topic {missing} does not exist, but {present} does: it was deleted, and with it places \
         that are counted on; delete {present} as well to begin anew"
    )]
    HalfThere {
        /// The one.
        present: String,
        /// The other.
        missing: String,
    },
    /// A topic is not as it has to be.
    #[error("{0}")]
    Wrong(Finding),
    /// The topic of the bus's id has none.
    #[error("topic {0} holds no id of the bus; write one with `jacquemart bus init`")]
    NoId(String),
    /// The brokers refused.
    #[error("{what}: {source}")]
    Refused {
        /// What was asked for.
        what: String,
        /// What they said.
        source: KafkaError,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for the id of the bus: {source}")]
    Random {
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread that asked is gone.
    #[error("asking the brokers was interrupted: {0}")]
    Interrupted(String),
}

/// What there is.
pub(super) struct Found {
    pub(super) id: BusId,
    pub(super) partitions: [u32; 2],
}

/// Looks for the topics, and for what would lose acknowledged records later.
pub(super) async fn find(config: &KafkaConfig) -> Result<Found, SetupError> {
    let layout = layout(config).await?;
    let mut partitions = [0; 2];
    for (topic, count) in Topic::ALL.into_iter().zip(&mut partitions) {
        let name = config.topic(topic);
        *count = layout.partitions(&name).ok_or(SetupError::TopicMissing(name))?;
    }
    for finding in sizes(config).await? {
        if !finding.ok {
            return Err(SetupError::Wrong(finding));
        }
    }
    let meta = config.meta_topic();
    if layout.partitions(&meta).is_none() {
        return Err(SetupError::TopicMissing(meta));
    }
    let id = read_id(config).await?.ok_or(SetupError::NoId(meta))?;
    Ok(Found { id, partitions })
}

/// Creates what is missing of the topics, and the bus's id with them. Says what it did.
pub async fn init(config: &KafkaConfig, plan: &TopicPlan) -> Result<Vec<String>, SetupError> {
    let layout = layout(config).await?;
    let [records, detections] = Topic::ALL.map(|topic| config.topic(topic));
    let there = [&records, &detections].map(|name| layout.partitions(name).is_some());
    let meta = config.meta_topic();
    let id = match layout.partitions(&meta) {
        Some(_) => read_id(config).await?,
        None => None,
    };
    // The id is written last, so without it the topics were never used and may be completed.
    let half = |present, missing| Err(SetupError::HalfThere { present, missing });
    match (there, id) {
        ([true, false], Some(_)) => return half(records, detections),
        ([false, true], Some(_)) => return half(detections, records),
        _ => {}
    }
    let replication = match plan.replication {
        0 => layout.brokers.clamp(1, 3),
        given => given,
    };
    let insync = match plan.min_insync_replicas {
        0 => replication.saturating_sub(1).max(1),
        given => given,
    };
    let settings = [
        ("min.insync.replicas", insync.to_string()),
        ("max.message.bytes", (config.message_bytes_max + ROOM_BYTES).to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    let mut done = Vec::new();
    for (topic, _) in Topic::ALL.into_iter().zip(there).filter(|(_, there)| !there) {
        let mut settings = settings.to_vec();
        settings.push(("cleanup.policy", "delete".to_owned()));
        settings.push(("retention.ms", plan.retention.as_millis().to_string()));
        let name = config.topic(topic);
        create(config, &name, plan.of(topic), replication, &settings, &mut done).await?;
    }
    if layout.partitions(&meta).is_none() {
        let mut settings = settings.to_vec();
        settings.push(("cleanup.policy", "compact".to_owned()));
        create(config, &meta, 1, replication, &settings, &mut done).await?;
    }
    // Offsets of new topics begin at 0 again, and ids of events are made of them: another id of
    // the bus keeps them apart from those before.
    if id.is_none() || there == [false; 2] {
        let id = random::bus_id().map_err(|source| SetupError::Random { source })?;
        write_id(config, id).await?;
        done.push(format!("{meta}: wrote the new id {id}"));
    }
    Ok(done)
}

/// Compares the topics with the plan.
pub async fn check(config: &KafkaConfig, plan: &TopicPlan) -> Result<Vec<Finding>, SetupError> {
    let layout = layout(config).await?;
    let mut findings = Vec::new();
    for topic in Topic::ALL {
        let name = config.topic(topic);
        let what = format!("{name}: partitions");
        match layout.partitions(&name) {
            None => findings.push(Finding {
                ok: false,
                what: name,
                detail: "does not exist; create it with `jacquemart bus init`".to_owned(),
            }),
            Some(count) if count < plan.of(topic) => findings.push(Finding {
                ok: false,
                what,
                detail: format!(
                    "{count}, and {} are asked for; partitions can be added with Kafka's own tools",
                    plan.of(topic)
                ),
            }),
            Some(count) => findings.push(Finding { ok: true, what, detail: count.to_string() }),
        }
        if let Some((replicas, insync)) = layout.copies(&config.topic(topic)) {
            findings.push(Finding {
                ok: insync == replicas,
                what: format!("{}: copies in sync", config.topic(topic)),
                detail: format!("{insync} of {replicas}"),
            });
        }
    }
    if findings.iter().all(|finding| !finding.detail.starts_with("does not exist")) {
        findings.extend(sizes(config).await?);
        findings.extend(retentions(config, plan).await?);
        let id = read_id(config).await?;
        findings.push(Finding {
            ok: id.is_some(),
            what: format!("{}: id of the bus", config.meta_topic()),
            detail: id.map_or_else(
                || "none; write one with `jacquemart bus init`".to_owned(),
                |id| id.to_string(),
            ),
        });
    }
    Ok(findings)
}
