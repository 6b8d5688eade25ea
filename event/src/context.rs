//! What a shipper says of a record beside the record itself.

use serde::{Deserialize, Serialize};

use crate::{BatchMark, Timestamp};

/// Some protocols wrap each record: Splunk's HEC has its time and host beside the event,
/// OpenTelemetry the attributes of the resource that logged it. The record stays as it was made;
/// what was beside it is kept here, and fills what the record itself does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// When it happened; where the record has a time of its own, that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The host it is about; where the record names one, that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Everything else, under the names of event fields, e.g. `hec.sourcetype`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Of the batch that ends with this record, where its sender may repeat it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Box<BatchMark>>,
}

impl Context {
    /// How many bytes its texts have.
    pub fn bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.len());
        self.host.as_ref().map_or(0, String::len) + fields.sum::<usize>()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.time.is_none() && self.host.is_none() && self.fields.is_empty() && self.batch.is_none()
    }
}
