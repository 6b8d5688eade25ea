//! The SentinelOne console: threats, activities, endpoints, and alerts of custom rules.
//!
//! Enters: an object as the management API lists it, alone or still in the API's
//! `{"data": …}`. Leaves: every value under `sentinelone.*`, and ECS. Ignored: pages of
//! several objects, which are several records.

mod activity_types;
mod tables;

use event::{Event, EventBuilder, Namespace, fields as f};

use self::activity_types::Group;
use super::{Format, json::Json, mapping::Mapping, sheet::Sheet, text};

/// The format `sentinelone`.
pub(super) struct SentinelOne {
    namespace: Namespace,
    threat: Mapping,
    activity: Mapping,
    alert: Mapping,
    endpoint: Mapping,
}

impl SentinelOne {
    pub(super) fn new() -> Self {
        let namespace = Namespace::new("sentinelone");
        Self {
            threat: Mapping::new(&namespace, &[tables::THREAT, tables::AGENT]),
            activity: Mapping::new(&namespace, &[tables::ACTIVITY]),
            alert: Mapping::new(&namespace, &[tables::ALERT, tables::AGENT]),
            endpoint: Mapping::new(&namespace, &[tables::ENDPOINT]),
            namespace,
        }
    }
}

impl Format for SentinelOne {
    fn name(&self) -> &str {
        "sentinelone"
    }

    fn describe(&self) -> &str {
        "SentinelOne console: threats, activities, endpoints and custom rules' alerts of the management API"
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let mut sheet = Sheet::new(builder);
        super::with_object(&mut sheet, |sheet, json| self.object(sheet, json)).finish(sheet)
    }
}

impl SentinelOne {
    fn object(&self, sheet: &mut Sheet, json: &Json<'_>) -> Result<(), String> {
        let json = unwrap(json)?;
        sheet.put(f::EVENT_MODULE, "sentinelone");
        sheet.put(f::OBSERVER_VENDOR, "SentinelOne");
        sheet.put(f::OBSERVER_PRODUCT, "Singularity");
        sheet.put(f::OBSERVER_TYPE, "endpoint");
        if json.get("threatInfo").is_some() {
            self.threat(sheet, json);
        } else if json.get("activityType").is_some() {
            self.activity(sheet, json);
        } else if json.get("alertInfo").is_some() || json.get("ruleInfo").is_some() {
            self.alert(sheet, json);
        } else if json.get("computerName").is_some() && json.get("agentVersion").is_some() {
            self.endpoint(sheet, json);
        } else {
            return Err("the object has neither threatInfo, activityType, alertInfo nor \
                        computerName and agentVersion, so it is no threat, activity, alert or \
                        endpoint; check the feed's format"
                .to_owned());
        }
        Ok(())
    }

    fn keep(&self, sheet: &mut Sheet, json: &Json<'_>, mapping: &Mapping) {
        sheet.keep_all(
            &self.namespace,
            json.object().unwrap_or_default(),
            &mut |sheet, field, value| {
                if let Some(text) = value.text() {
                    mapping.run(sheet, field, text);
                }
            },
        );
    }

    fn threat(&self, sheet: &mut Sheet, json: &Json<'_>) {
        sheet.put(f::EVENT_DATASET, "sentinelone.threats");
        sheet.put(f::EVENT_KIND, "alert");
        sheet.put_all(f::EVENT_CATEGORY, &["malware"]);
        sheet.put_all(f::EVENT_TYPE, &["info"]);
        self.keep(sheet, json, &self.threat);
        // A threat's name is mostly its file's, which a path may end differently from.
        sheet.put_basename(f::FILE_NAME, f::FILE_PATH);
        let time = |key| json.at(&["threatInfo", key]).and_then(Json::present).and_then(text::utc);
        sheet.set_time(time("identifiedAt").or_else(|| time("createdAt")));
        let machine = json.at(&["agentRealtimeInfo", "agentMachineType"]).and_then(Json::present);
        if machine.is_some_and(|machine| machine.contains("kubernetes")) {
            sheet.put(f::ORCHESTRATOR_TYPE, "kubernetes");
        }
    }

    fn activity(&self, sheet: &mut Sheet, json: &Json<'_>) {
        sheet.put(f::EVENT_DATASET, "sentinelone.activities");
        let code = json.get("activityType").and_then(Json::whole);
        let known = code.and_then(|code| u32::try_from(code).ok()).and_then(activity_types::of);
        let group = known.map_or(Group::Agent, |activity| activity.group);
        if let Some(activity) = known {
            sheet.put(f::EVENT_ACTION, activity.action);
        }
        sheet.put(f::EVENT_KIND, if group == Group::Rule { "alert" } else { "event" });
        sheet.put_all(f::EVENT_CATEGORY, group.category());
        sheet.put_all(f::EVENT_TYPE, group.types());
        match group {
            Group::Session => sheet.put(f::EVENT_OUTCOME, "success"),
            Group::SessionFailed => sheet.put(f::EVENT_OUTCOME, "failure"),
            _ => {}
        }
        self.keep(sheet, json, &self.activity);
        let time = |key| json.get(key).and_then(Json::present).and_then(text::utc);
        sheet.set_time(time("createdAt").or_else(|| time("updatedAt")));
    }

    fn alert(&self, sheet: &mut Sheet, json: &Json<'_>) {
        sheet.put(f::EVENT_DATASET, "sentinelone.custom_rule");
        sheet.put(f::EVENT_KIND, "alert");
        sheet.put_all(f::EVENT_CATEGORY, &["intrusion_detection"]);
        sheet.put_all(f::EVENT_TYPE, &["info"]);
        self.keep(sheet, json, &self.alert);
        let time = |key| json.at(&["alertInfo", key]).and_then(Json::present).and_then(text::utc);
        sheet.set_time(
            time("createdAt").or_else(|| time("reportedAt")).or_else(|| time("updatedAt")),
        );
    }

    /// What the console knows of an endpoint: whether its agent is there, up to date and awake.
    fn endpoint(&self, sheet: &mut Sheet, json: &Json<'_>) {
        sheet.put(f::EVENT_DATASET, "sentinelone.agents");
        sheet.put(f::EVENT_KIND, "asset");
        sheet.put_all(f::EVENT_CATEGORY, &["host"]);
        sheet.put_all(f::EVENT_TYPE, &["info"]);
        self.keep(sheet, json, &self.endpoint);
        let time = |key| json.get(key).and_then(Json::present).and_then(text::utc);
        sheet.set_time(time("updatedAt").or_else(|| time("lastActiveDate")));
    }
}

/// The object in the API's envelope. An activity has a `data` of its own.
fn unwrap<'o, 'a>(json: &'o Json<'a>) -> Result<&'o Json<'a>, String> {
    let is_object = ["activityType", "threatInfo", "alertInfo", "ruleInfo"];
    if is_object.iter().any(|key| json.get(key).is_some()) {
        return Ok(json);
    }
    match json.get("data") {
        Some(inner @ Json::Object(_)) => Ok(inner),
        Some(Json::Array(items)) => match items.as_slice() {
            [one] => Ok(one),
            _ => Err(format!(
                "it is a page of {} objects; send the members of `data` as records of their own",
                items.len()
            )),
        },
        _ => Ok(json),
    }
}
