//! PRADEO Mobile Threat Defense: notifications of the console.
//!
//! Enters: one notification, whose `content` has a member named after its kind. Leaves: every
//! value under `pradeo.*`, the phone in `device.*` and `host.os.*`, the application in
//! `package.*`, and the verdicts in `mtd.*`.

use event::{Event, EventBuilder, Namespace, fields as f};

use super::{Format, json::Json, mapping::Op, mapping::Op::*, sheet::Sheet, text};

/// The format `pradeo-mtd`.
pub(super) struct Pradeo {
    namespace: Namespace,
}

impl Pradeo {
    pub(super) fn new() -> Self {
        Self { namespace: Namespace::new("pradeo") }
    }
}

impl Format for Pradeo {
    fn name(&self) -> &str {
        "pradeo-mtd"
    }

    fn describe(&self) -> &str {
        "PRADEO Mobile Threat Defense: notifications as JSON"
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let mut sheet = Sheet::new(builder);
        super::with_object(&mut sheet, |sheet, json| self.event(sheet, json)).finish(sheet)
    }
}

impl Pradeo {
    fn event(&self, sheet: &mut Sheet, json: &Json<'_>) -> Result<(), String> {
        let Some(kind) = json.get("type").and_then(Json::present) else {
            return Err("the object has no type, so it is no PRADEO notification; check the \
                        feed's format"
                .to_owned());
        };
        sheet.put(f::EVENT_MODULE, "pradeo");
        sheet.put(f::EVENT_DATASET, "pradeo.mtd");
        sheet.put(f::OBSERVER_VENDOR, "Pradeo");
        sheet.put(f::OBSERVER_PRODUCT, "Mobile Threat Defense");
        sheet.put(f::OBSERVER_TYPE, "mtd");
        sheet.put(f::EVENT_ACTION, kind);
        self.keep(sheet, json);
        let content = json.get("content").unwrap_or(json);
        // The kinds name the same things differently; what is not there fills nothing.
        member(sheet, json, content, kind);
        notification(sheet, json, kind);
        let time = json.get("creationDate").and_then(Json::present);
        sheet.set_time(time.and_then(text::utc));
        Ok(())
    }

    fn keep(&self, sheet: &mut Sheet, json: &Json<'_>) {
        let pairs = json.object().unwrap_or_default();
        sheet.keep_all(&self.namespace, pairs, &mut |_, _, _| {});
    }
}

/// The member of `content` that the notification is about.
fn member(sheet: &mut Sheet, json: &Json<'_>, content: &Json<'_>, kind: &str) {
    let pairs = content.object().unwrap_or_default();
    let objects = pairs.iter().map(|(_, value)| value).filter(|value| value.object().is_some());
    for object in objects {
        for inner in [Some(object), object.get("deviceApplication")].into_iter().flatten() {
            if let Some(found) = inner.get("device").filter(|device| device.object().is_some()) {
                device(sheet, found);
            }
            if let Some(found) = inner.get("application") {
                application(sheet, found);
            }
        }
        verdict(sheet, object);
    }
    if let Some(found) = content.get("device") {
        device(sheet, found);
    }
    if let Some(found) = content.get("application") {
        application(sheet, found);
    }
    if let Some(found) = json.get("device") {
        device(sheet, found);
    }
    if kind == "DeviceDetection" {
        detection(sheet, content);
    }
    if let Some(user) = json.get("user") {
        run(
            sheet,
            user,
            &[
                ("id", &[Text(f::USER_ID)]),
                ("email", &[Text(f::USER_EMAIL)]),
                ("username", &[Text(f::USER_NAME)]),
                ("name", &[Text(f::USER_NAME)]),
            ],
        );
    }
    run(sheet, content, &[("deviceId", &[Text(f::DEVICE_ID)])]);
}

/// Does what `table` says with the values of `object`.
fn run(sheet: &mut Sheet, object: &Json<'_>, table: &[(&str, &[Op])]) {
    for (name, ops) in table {
        if let Some(text) = object.get(name).and_then(Json::present) {
            // The console writes `unknown`, and `null` as text, for nothing.
            if !matches!(text, "unknown" | "null") {
                ops.iter().for_each(|op| op.run(sheet, text));
            }
        }
    }
}

fn device(sheet: &mut Sheet, device: &Json<'_>) {
    run(
        sheet,
        device,
        &[
            ("id", &[Text(f::DEVICE_ID)]),
            ("name", &[Text(f::HOST_NAME)]),
            ("email", &[Text(f::USER_EMAIL)]),
            ("declaredOperatingSystem", &[Text(f::HOST_OS_NAME), With(os)]),
            ("declaredOperatingSystemVersion", &[Text(f::HOST_OS_VERSION)]),
            ("declaredOperatingSystemSecurityPatchDate", &[Text(f::MTD_DEVICE_SECURITY_PATCH)]),
            ("declaredModel", &[Text(f::DEVICE_MODEL_NAME), Text(f::DEVICE_MODEL_IDENTIFIER)]),
            ("declaredManufacturer", &[Text(f::DEVICE_MANUFACTURER)]),
            ("byod", &[Bool(f::MTD_DEVICE_BYOD)]),
        ],
    );
}

fn os(sheet: &mut Sheet, name: &str) {
    let lower = name.to_ascii_lowercase();
    let kind = match lower.as_str() {
        "android" => "android",
        "ios" | "ipados" => "ios",
        _ => return,
    };
    sheet.put(f::HOST_OS_TYPE, kind);
    sheet.put(f::HOST_OS_FAMILY, kind);
    sheet.put(f::HOST_OS_PLATFORM, kind);
}

fn application(sheet: &mut Sheet, application: &Json<'_>) {
    run(
        sheet,
        application,
        &[
            ("name", &[Text(f::PACKAGE_NAME)]),
            ("version", &[Text(f::PACKAGE_VERSION)]),
            ("size", &[Whole(f::FILE_SIZE)]),
            ("md5", &[Lower(f::FILE_HASH_MD5)]),
            ("sha1", &[Lower(f::FILE_HASH_SHA1), Lower(f::PACKAGE_CHECKSUM)]),
            ("sha256", &[Lower(f::FILE_HASH_SHA256)]),
        ],
    );
    if let Some(package) = application.get("package") {
        let name = package.get("package").unwrap_or(package).present();
        if let Some(name) = name {
            sheet.put(f::MTD_APP_PACKAGE, name);
        }
        run(sheet, package, &[("system", &[Text(f::HOST_OS_NAME), With(os)])]);
    }
    for permissions in ["permissions", "permission"] {
        each(application, permissions, &mut |value| {
            let name = value.get("name").unwrap_or(value).present();
            if let Some(name) = name {
                sheet.add_once(f::MTD_APP_PERMISSION, name);
            }
        });
    }
}

/// Every member of an array, or the one value.
fn each(object: &Json<'_>, name: &str, with: &mut dyn FnMut(&Json<'_>)) {
    match object.get(name) {
        Some(Json::Array(items)) => items.iter().for_each(with),
        Some(value) => with(value),
        None => {}
    }
}

/// What the console concludes, in any member.
fn verdict(sheet: &mut Sheet, object: &Json<'_>) {
    for status in ["deviceNetworkStatus", "deviceSystemStatus", "deviceStatus"] {
        if let Some(name) = object.at(&[status, "name"]).and_then(Json::present) {
            sheet.put(f::MTD_STATUS_NAME, name);
            sheet.put(f::RULE_NAME, name);
        }
    }
    run(
        sheet,
        object,
        &[
            ("kind", &[Text(f::MTD_STATUS_NAME), Text(f::RULE_NAME)]),
            ("value", &[With(status_value)]),
            ("level", &[Lower(f::MTD_THREAT_LEVEL)]),
            ("threatLevel", &[Lower(f::MTD_THREAT_LEVEL)]),
        ],
    );
    if object.get("deviceApplication").is_some() || object.get("matchedResponseRules").is_some() {
        run(sheet, object, &[("status", &[Text(f::MTD_COMPLIANCE_STATUS)])]);
        each(object, "matchedResponseRules", &mut |rule| {
            each(rule, "matchConditions", &mut |condition| {
                if condition.get("type").and_then(Json::text) == Some("threatLevelIs") {
                    run(sheet, condition, &[("value", &[Lower(f::MTD_THREAT_LEVEL)])]);
                }
            });
            let name = rule.at(&["responseRuleset", "name"]).and_then(Json::present);
            if let Some(name) = name {
                sheet.put(f::RULE_RULESET, name);
            }
        });
    }
    if let Some(name) = object.at(&["detectionPolicy", "name"]).and_then(Json::present) {
        sheet.put(f::RULE_RULESET, name);
    }
    correlation(sheet, object);
}

/// A phone's statuses all at once: the worst level, and the names of what is not green.
fn correlation(sheet: &mut Sheet, object: &Json<'_>) {
    const LEVELS: &[&str] = &["green", "orange", "red"];
    let rank = |name: &str| {
        let level = object.get(name)?.present()?.to_ascii_lowercase();
        LEVELS.iter().position(|known| *known == level)
    };
    let worst = ["applicationThreatLevel", "systemThreatLevel", "networkThreatLevel"]
        .iter()
        .filter_map(|name| rank(name))
        .max();
    if let Some(level) = worst.and_then(|worst| LEVELS.get(worst)) {
        sheet.put(f::MTD_THREAT_LEVEL, level);
    }
    for (list, level, status) in [
        ("matchedSystemStatusLevels", "systemStatusLevel", "deviceSystemStatus"),
        ("matchedNetworkStatusLevels", "networkStatusLevel", "deviceNetworkStatus"),
    ] {
        each(object, list, &mut |matched| {
            let Some(found) = matched.get(level) else { return };
            let green = found.get("level").and_then(Json::text) == Some("Green");
            // A record says whether the status is there: 0 is not.
            let there = matched
                .object()
                .unwrap_or_default()
                .iter()
                .find(|(name, _)| name.ends_with("StatusRecord"))
                .and_then(|(_, record)| record.get("value")?.whole());
            let name = found.at(&[status, "name"]).and_then(Json::present);
            if let (false, Some(1), Some(name)) = (green, there, name) {
                sheet.add_once(f::MTD_STATUS_NAME, name);
            }
        });
    }
}

fn status_value(sheet: &mut Sheet, value: &str) {
    match value.parse() {
        Ok(number) => sheet.put_whole(f::MTD_STATUS_VALUE, number),
        Err(_) => sheet.put(f::MTD_STATUS_VALUE, value),
    }
}

/// A detection on a phone: what it is, and whether it goes on.
fn detection(sheet: &mut Sheet, content: &Json<'_>) {
    run(
        sheet,
        content,
        &[
            ("id", &[Text(f::DEVICE_ID), With(os_of_id)]),
            ("email", &[Text(f::USER_EMAIL)]),
            ("metric", &[Text(f::THREAT_INDICATOR_TYPE), Text(f::MTD_STATUS_NAME)]),
            ("type", &[Text(f::RULE_NAME)]),
            ("status", &[With(threat_status)]),
            ("level", &[Lower(f::MTD_THREAT_LEVEL)]),
        ],
    );
    let name = |key| content.get(key).and_then(Json::present);
    if let (Some(first), Some(last)) = (name("first_name"), name("last_name")) {
        sheet.put(f::USER_FULL_NAME, &format!("{first} {last}"));
    }
}

/// `android:…`
fn os_of_id(sheet: &mut Sheet, id: &str) {
    if let Some((name, _)) = id.split_once(':') {
        os(sheet, name);
    }
}

fn threat_status(sheet: &mut Sheet, status: &str) {
    let status = match status.to_ascii_uppercase().as_str() {
        "BEGIN" | "START" | "OPEN" | "NEW" | "DETECTED" => "open",
        "END" => "end",
        "RESOLVED" | "CLOSED" => "resolved",
        _ => return sheet.put_lower(f::MTD_THREAT_STATUS, status),
    };
    sheet.put(f::MTD_THREAT_STATUS, status);
}

/// What the notification as a whole is, in ECS.
fn notification(sheet: &mut Sheet, json: &Json<'_>, kind: &str) {
    let category = json.get("category").and_then(Json::present).filter(|text| *text != "null");
    if let Some(category) = category {
        sheet.put(f::RULE_CATEGORY, category);
    }
    let ended = sheet.get(f::MTD_THREAT_STATUS).is_some_and(|status| status != "open");
    let (event_kind, categories, types): (_, &[&str], &[&str]) = if kind.ends_with("Detection") {
        let network = category.is_some_and(|name| name.eq_ignore_ascii_case("network"));
        let categories: &[&str] =
            if network { &["intrusion_detection", "network"] } else { &["intrusion_detection"] };
        (if ended { "event" } else { "alert" }, categories, &["info"])
    } else if kind.contains("Compliance") {
        let disapproved = sheet.get(f::MTD_COMPLIANCE_STATUS) == Some("Disapproved");
        let event_kind = if disapproved { "alert" } else { "state" };
        (event_kind, &["package"], &["change"])
    } else if kind.contains("Application") {
        ("event", &["package"], change(kind))
    } else if kind.contains("Policy") || kind.contains("Rule") {
        ("event", &["configuration"], change(kind))
    } else if kind.contains("Correlation") || kind.contains("Status") {
        ("state", &["host"], &["info"])
    } else {
        ("event", &["host"], change(kind))
    };
    sheet.put(f::EVENT_KIND, event_kind);
    sheet.put_all(f::EVENT_CATEGORY, categories);
    sheet.put_all(f::EVENT_TYPE, types);
}

/// The verb that a notification's name ends in.
fn change(kind: &str) -> &'static [&'static str] {
    match () {
        () if kind.ends_with("Created") || kind.ends_with("Installed") => &["creation"],
        () if kind.ends_with("Uninstalled") || kind.ends_with("Deleted") => &["deletion"],
        () if kind.ends_with("Updated") || kind.ends_with("Modified") => &["change"],
        () => &["info"],
    }
}
