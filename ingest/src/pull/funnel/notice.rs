//! What a message of the queue says: which objects are new.

use serde_json::Value;

/// An object of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub(super) bucket: String,
    pub(super) key: String,
    /// What tells it from another of the same key: its ETag, version or place in order.
    pub(super) version: String,
}

/// The objects that a message tells of; none for what S3 sends to try a queue, and for objects that
/// were removed. A reason where the message is no notice.
pub(super) fn objects(body: &str) -> Result<Vec<Object>, String> {
    let value: Value = serde_json::from_str(body).map_err(|error| format!("no JSON: {error}"))?;
    // SNS between the bucket and the queue wraps what S3 says.
    if value["Type"] == "Notification"
        && let Some(inner) = value["Message"].as_str()
    {
        return objects(inner);
    }
    if value["Event"] == "s3:TestEvent" {
        return Ok(Vec::new());
    }
    // EventBridge says one object, its key as it is.
    if value["detail-type"] == "Object Created" {
        let detail = &value["detail"];
        let (bucket, object) = (&detail["bucket"]["name"], &detail["object"]);
        return Ok(vec![object_of(bucket, object, str::to_owned)?]);
    }
    let records = value["Records"].as_array().ok_or("neither Records nor detail")?;
    records
        .iter()
        .filter(|record| {
            let event = record["eventName"].as_str().unwrap_or_default();
            event.starts_with("ObjectCreated:")
        })
        .map(|record| {
            let s3 = &record["s3"];
            object_of(&s3["bucket"]["name"], &s3["object"], decoded)
        })
        .collect()
}

fn object_of(
    bucket: &Value,
    object: &Value,
    key: impl Fn(&str) -> String,
) -> Result<Object, String> {
    let bucket = bucket.as_str().ok_or("no name of the bucket")?;
    // It becomes a host's name, which a request is signed for.
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if bucket.is_empty() || !bucket.chars().all(is_plain) {
        return Err(format!("{bucket:?} is no bucket's name"));
    }
    let key = key(object["key"].as_str().ok_or("no key of the object")?);
    let names = ["versionId", "eTag", "etag", "version-id", "sequencer"];
    let version: Vec<_> = names.iter().filter_map(|name| object[*name].as_str()).collect();
    Ok(Object { bucket: bucket.to_owned(), key, version: version.join(" ") })
}

/// A key as S3's notices write it: percent-encoded, spaces as `+`.
fn decoded(key: &str) -> String {
    let key = key.replace('+', " ");
    percent_encoding::percent_decode_str(&key).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn record(event: &str, key: &str) -> Value {
        json!({ "eventName": event, "s3": {
            "bucket": { "name": "funnel" }, "object": { "key": key, "eTag": "e" }
        } })
    }

    fn keys(body: &Value) -> Result<Vec<String>, String> {
        Ok(objects(&body.to_string())?.into_iter().map(|object| object.key).collect())
    }

    #[test]
    fn notices_are_read_however_they_come() {
        let plain = json!({ "Records": [
            record("ObjectCreated:Put", "a/b%3D1/part+1%2B.gz"), record("ObjectRemoved:Delete", "c"),
        ] });
        assert_eq!(keys(&plain).unwrap(), ["a/b=1/part 1+.gz"]);
        let wrapped = json!({ "Type": "Notification", "Message": plain.to_string() });
        assert_eq!(keys(&wrapped).unwrap(), ["a/b=1/part 1+.gz"]);
        let bridge = json!({ "detail-type": "Object Created", "detail": {
            "bucket": { "name": "funnel" }, "object": { "key": "a+b%20", "etag": "e" }
        } });
        assert_eq!(keys(&bridge).unwrap(), ["a+b%20"]);
        assert!(
            keys(&json!({ "Service": "Amazon S3", "Event": "s3:TestEvent" })).unwrap().is_empty()
        );
    }

    #[test]
    fn what_is_no_notice_is_told() {
        for (body, expected) in [
            ("x", "no JSON"),
            ("{}", "neither"),
            (r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{}}]}"#, "bucket"),
            (
                r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"evil/x"},"object":{"key":"k"}}}]}"#,
                "no bucket's name",
            ),
        ] {
            assert!(objects(body).unwrap_err().contains(expected), "{body}");
        }
    }
}
