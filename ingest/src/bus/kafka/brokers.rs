//! What is asked of the brokers.

use std::time::{Duration, Instant};

use event::BusId;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfig as _,
    consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
    producer::{FutureProducer, FutureRecord},
};

use super::{
    super::Topic, ANSWER_MAX, Finding, KafkaConfig, SetupError, TopicPlan, config::ROOM_BYTES,
    context::Asking,
};

/// What the brokers tell of topics.
pub(super) struct Layout {
    pub(super) brokers: u32,
    /// By topic: name, partitions, least copies, least copies in sync.
    topics: Vec<(String, u32, usize, usize)>,
}

impl Layout {
    pub(super) fn partitions(&self, name: &str) -> Option<u32> {
        self.topics.iter().find(|topic| topic.0 == name).map(|topic| topic.1)
    }

    pub(super) fn copies(&self, name: &str) -> Option<(usize, usize)> {
        self.topics.iter().find(|topic| topic.0 == name).map(|topic| (topic.2, topic.3))
    }

    fn of(metadata: &Metadata) -> Self {
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let least = |lens: &mut dyn Iterator<Item = usize>| lens.min().unwrap_or(0);
        Self {
            brokers: u32::try_from(metadata.brokers().len()).unwrap_or(1),
            topics: topics
                .map(|topic| {
                    let partitions = topic.partitions();
                    let count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
                    let replicas = least(&mut partitions.iter().map(|p| p.replicas().len()));
                    let insync = least(&mut partitions.iter().map(|p| p.isr().len()));
                    (topic.name().to_owned(), count, replicas, insync)
                })
                .filter(|topic| topic.1 > 0)
                .collect(),
        }
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, SetupError> + Send + 'static,
) -> Result<T, SetupError> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result,
        Err(panic) => Err(SetupError::Interrupted(panic.to_string())),
    }
}

pub(super) async fn layout(config: &KafkaConfig) -> Result<Layout, SetupError> {
    let config = config.clone();
    blocking(move || {
        let client = BaseConsumer::<DefaultConsumerContext>::from_config(&config.client())
            .map_err(|source| SetupError::Client { source })?;
        let metadata = client.fetch_metadata(None, ANSWER_MAX).map_err(|source| {
            SetupError::Unreachable { brokers: config.brokers.clone(), source }
        })?;
        Ok(Layout::of(&metadata))
    })
    .await
}

fn admin(config: &KafkaConfig) -> Result<AdminClient<Asking>, SetupError> {
    AdminClient::from_config(&config.client()).map_err(|source| SetupError::Client { source })
}

pub(super) async fn create(
    config: &KafkaConfig,
    name: &str,
    partitions: u32,
    replication: u32,
    settings: &[(&str, String)],
    done: &mut Vec<String>,
) -> Result<(), SetupError> {
    let refused = |source| SetupError::Refused { what: format!("creating topic {name}"), source };
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let mut topic =
        NewTopic::new(name, count(partitions), TopicReplication::Fixed(count(replication)));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_MAX));
    let results = admin(config)?.create_topics([&topic], &options).await.map_err(refused)?;
    for result in results {
        match result {
            Ok(name) => done.push(format!(
                "{name}: created with {partitions} partitions and {replication} copies of each"
            )),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(refused(KafkaError::AdminOp(code))),
        }
    }
    Ok(())
}

/// The setting `key` of each topic that carries payloads.
async fn settings(
    config: &KafkaConfig,
    key: &str,
) -> Result<Vec<(String, Option<String>)>, SetupError> {
    let names = Topic::ALL.map(|topic| config.topic(topic));
    let asked: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let refused =
        |source| SetupError::Refused { what: "reading the topics' settings".to_owned(), source };
    let answers = admin(config)?
        .describe_configs(&asked, &AdminOptions::new().request_timeout(Some(ANSWER_MAX)))
        .await
        .map_err(refused)?;
    let mut values = Vec::new();
    for (name, answer) in names.into_iter().zip(answers) {
        let answer = answer.map_err(|code| refused(KafkaError::AdminOp(code)))?;
        values.push((name, answer.get(key).and_then(|entry| entry.value.clone())));
    }
    Ok(values)
}

/// Whether the topics take the largest message that this bus writes.
pub(super) async fn sizes(config: &KafkaConfig) -> Result<Vec<Finding>, SetupError> {
    let needed = config.message_bytes_max + ROOM_BYTES;
    let found = settings(config, "max.message.bytes").await?;
    Ok(found
        .into_iter()
        .map(|(name, value)| {
            let taken = value.as_deref().and_then(|value| value.parse::<usize>().ok());
            Finding {
                ok: taken.is_none_or(|taken| taken >= needed),
                what: format!("{name}: max.message.bytes"),
                detail: format!(
                    "{}, and at least {needed} are needed for kafka.message_bytes_max",
                    value.as_deref().unwrap_or("not told")
                ),
            }
        })
        .collect())
}

pub(super) async fn retentions(
    config: &KafkaConfig,
    plan: &TopicPlan,
) -> Result<Vec<Finding>, SetupError> {
    let found = settings(config, "retention.ms").await?;
    Ok(found
        .into_iter()
        .map(|(name, value)| {
            let kept = value.as_deref().and_then(|value| value.parse::<i128>().ok());
            let asked = i128::try_from(plan.retention.as_millis()).unwrap_or(i128::MAX);
            Finding {
                ok: kept.is_none_or(|kept| kept == -1 || kept >= asked),
                what: format!("{name}: retention.ms"),
                detail: format!(
                    "{}, and {asked} are asked for",
                    value.as_deref().unwrap_or("not told")
                ),
            }
        })
        .collect())
}

const ID_KEY: &str = "bus";

pub(super) async fn write_id(config: &KafkaConfig, id: BusId) -> Result<(), SetupError> {
    let producer: FutureProducer = FutureProducer::from_config(config.client().set("acks", "all"))
        .map_err(|source| SetupError::Client { source })?;
    let (topic, text) = (config.meta_topic(), id.to_string());
    let record = FutureRecord::to(&topic).key(ID_KEY).payload(&text);
    match producer.send(record, ANSWER_MAX).await {
        Ok(_) => Ok(()),
        Err((source, _)) => {
            Err(SetupError::Refused { what: format!("writing the bus's id to {topic}"), source })
        }
    }
}

/// The id that was written last.
pub(super) async fn read_id(config: &KafkaConfig) -> Result<Option<BusId>, SetupError> {
    let config = config.clone();
    blocking(move || {
        let topic = config.meta_topic();
        let refused = |source| SetupError::Refused {
            what: format!("reading the bus's id of {topic}"),
            source,
        };
        let mut client = config.client();
        // Reading alone needs a group's name, too; nothing is ever committed for it.
        client
            .set("group.id", format!("{}-meta", config.prefix))
            .set("enable.partition.eof", "true");
        let client = BaseConsumer::<DefaultConsumerContext>::from_config(&client)
            .map_err(|source| SetupError::Client { source })?;
        let (low, high) = client.fetch_watermarks(&topic, 0, ANSWER_MAX).map_err(refused)?;
        if low == high {
            return Ok(None);
        }
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&topic, 0, Offset::Offset(low)).map_err(refused)?;
        client.assign(&place).map_err(refused)?;
        let (began, mut id) = (Instant::now(), None);
        while began.elapsed() < ANSWER_MAX {
            match client.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let text = message.payload().and_then(|text| std::str::from_utf8(text).ok());
                    id = text.and_then(|text| text.parse().ok()).or(id);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(id),
                Some(Err(error)) if error.rdkafka_error_code().is_none() => {
                    return Err(refused(error));
                }
                // librdkafka tries again by itself.
                Some(Err(_)) | None => {}
            }
        }
        Err(refused(KafkaError::NoMessageReceived))
    })
    .await
}
