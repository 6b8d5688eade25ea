//! SentinelOne Cloud Funnel 2: endpoint telemetry, one flat object a record.
//!
//! Enters: an object with dotted keys (`src.process.image.path`). Leaves: every key under
//! `sentinelone.*`, and ECS. `src.process` acts; on Process Creation it is the parent, and
//! `tgt.process` the new process. Registry paths and values take Sysmon's form, so that one
//! rule matches both.

use std::collections::HashMap;

use event::{Event, EventBuilder, Namespace, Timestamp, fields as f};

use super::{
    Format,
    json::{Json, Object, find},
    mapping::{Mapping, Op, Op::*, Table, USER},
    sheet::Sheet,
    text,
    windows::{registry_data, values},
};

/// What an event type means in ECS.
struct Meaning {
    event_type: &'static str,
    kind: &'static str,
    category: &'static [&'static str],
    types: &'static [&'static str],
}

const fn is(
    event_type: &'static str,
    category: &'static [&'static str],
    types: &'static [&'static str],
) -> Meaning {
    Meaning { event_type, kind: "event", category, types }
}

/// The event types, after the vendor's schema.
#[rustfmt::skip]
const MEANINGS: &[Meaning] = &[
    is("Process Creation", &["process"], &["start"]),
    is("Process Modification", &["process"], &["change"]),
    is("Process Exit", &["process"], &["end"]),
    is("Process Termination", &["process"], &["end"]),
    is("Open Remote Process Handle", &["process"], &["access"]),
    is("Duplicate Process Handle", &["process"], &["access"]),
    is("Duplicate Thread Handle", &["process"], &["access"]),
    is("Remote Thread Creation", &["process"], &["change"]),
    is("Remote Process Termination", &["process"], &["end"]),
    is("Command Script", &["process"], &["info"]),
    is("File Creation", &["file"], &["creation"]),
    is("File Modification", &["file"], &["change"]),
    is("File Deletion", &["file"], &["deletion"]),
    is("File Rename", &["file"], &["change"]),
    is("File Scan", &["file"], &["info"]),
    is("IP Connect", &["network"], &["connection", "start", "info"]),
    is("IP Listen", &["network"], &["connection", "info"]),
    is("DNS Resolved", &["network"], &["protocol", "connection", "info"]),
    is("DNS Unresolved", &["network"], &["protocol", "connection", "info"]),
    is("HTTP Request", &["network", "web"], &["connection", "protocol", "info"]),
    is("GET", &["network", "web"], &["connection", "protocol", "info"]),
    is("POST", &["network", "web"], &["connection", "protocol", "info"]),
    is("PUT", &["network", "web"], &["connection", "protocol", "info"]),
    is("DELETE", &["network", "web"], &["connection", "protocol", "info"]),
    is("HEAD", &["network", "web"], &["connection", "protocol", "info"]),
    is("OPTIONS", &["network", "web"], &["connection", "protocol", "info"]),
    is("CONNECT", &["network", "web"], &["connection", "protocol", "info"]),
    is("Registry Key Create", &["registry"], &["creation"]),
    is("Registry Key Delete", &["registry"], &["deletion"]),
    is("Registry Key Rename", &["registry"], &["change"]),
    is("Registry Key Import", &["registry"], &["change"]),
    is("Registry Key Export", &["registry"], &["access"]),
    is("Registry Key Security Changed", &["registry"], &["change"]),
    is("Registry Value Create", &["registry"], &["creation"]),
    is("Registry Value Modified", &["registry"], &["change"]),
    is("Registry Value Delete", &["registry"], &["deletion"]),
    is("Module Load", &["library"], &["start"]),
    is("Driver Load", &["driver"], &["start", "info"]),
    is("Login", &["authentication"], &["start"]),
    is("Logout", &["authentication"], &["end"]),
    is("Task Register", &["configuration"], &["creation"]),
    is("Task Update", &["configuration"], &["change"]),
    is("Task Delete", &["configuration"], &["deletion"]),
    is("Task Start", &["process"], &["start"]),
    is("Task Trigger", &["process"], &["start"]),
    is("Group Creation", &["process"], &["group", "creation"]),
    is("Named Pipe Creation", &["file"], &["creation"]),
    is("Named Pipe Connection", &["file"], &["access"]),
    is("Threat Intelligence Indicators", &["threat"], &["indicator"]),
    is("Behavioral Indicators", &["intrusion_detection"], &["info"]),
    is("Windows Event Log Creation", &["host"], &["info"]),
    is("Not Reported", &[], &[]),
];

/// What events of a category mean whose type is not known, newer than this program.
const CATEGORIES: &[(&str, &[&str])] = &[
    ("process", &["process"]),
    ("cross_process", &["process"]),
    ("command_script", &["process"]),
    ("file", &["file"]),
    ("ip", &["network"]),
    ("dns", &["network"]),
    ("url", &["network", "web"]),
    ("registry", &["registry"]),
    ("module", &["library"]),
    ("driver", &["driver"]),
    ("logins", &["authentication"]),
    ("scheduled_task", &["configuration"]),
    ("indicators", &["intrusion_detection"]),
    ("named_pipe", &["file"]),
    ("threat_intelligence_indicators", &["threat"]),
];

/// Where the fields of a process go.
struct Process {
    executable: &'static [Op],
    name: &'static [Op],
    pid: &'static [Op],
    entity_id: &'static [Op],
    command_line: &'static [Op],
    start: &'static [Op],
    title: &'static [Op],
    integrity: &'static [Op],
    user: &'static [Op],
    effective: &'static [Op],
    effective_id: &'static [Op],
    real: &'static [Op],
    real_id: &'static [Op],
    publisher: &'static [Op],
    signed: &'static [Op],
    verified: &'static [Op],
    md5: &'static [Op],
    sha1: &'static [Op],
    sha256: &'static [Op],
}

const ACTOR: Process = Process {
    executable: &[Text(f::PROCESS_EXECUTABLE)],
    name: &[Text(f::PROCESS_NAME)],
    pid: &[Whole(f::PROCESS_PID)],
    entity_id: &[Text(f::PROCESS_ENTITY_ID)],
    command_line: &[Text(f::PROCESS_COMMAND_LINE)],
    start: &[Time(f::PROCESS_START)],
    title: &[Text(f::PROCESS_PE_DESCRIPTION)],
    integrity: &[With(integrity)],
    user: &[Text(f::PROCESS_USER_NAME), Account(&USER)],
    effective: &[Text(f::PROCESS_USER_NAME), Account(&USER)],
    effective_id: &[Text(f::PROCESS_USER_ID)],
    real: &[Text(f::PROCESS_REAL_USER_NAME)],
    real_id: &[Text(f::PROCESS_REAL_USER_ID)],
    publisher: &[Text(f::PROCESS_CODE_SIGNATURE_SUBJECT_NAME)],
    signed: &[With(process_signed)],
    verified: &[Text(f::PROCESS_CODE_SIGNATURE_STATUS)],
    md5: &[Lower(f::PROCESS_HASH_MD5)],
    sha1: &[Lower(f::PROCESS_HASH_SHA1)],
    sha256: &[Lower(f::PROCESS_HASH_SHA256)],
};

const PARENT: Process = Process {
    executable: &[Text(f::PROCESS_PARENT_EXECUTABLE)],
    name: &[Text(f::PROCESS_PARENT_NAME)],
    pid: &[Whole(f::PROCESS_PARENT_PID)],
    entity_id: &[Text(f::PROCESS_PARENT_ENTITY_ID)],
    command_line: &[Text(f::PROCESS_PARENT_COMMAND_LINE)],
    start: &[Time(f::PROCESS_PARENT_START)],
    title: &[],
    integrity: &[With(parent_integrity)],
    user: &[Text(f::PROCESS_PARENT_USER_NAME)],
    effective: &[Text(f::PROCESS_PARENT_USER_NAME)],
    effective_id: &[Text(f::PROCESS_PARENT_USER_ID)],
    real: &[Text(f::PROCESS_PARENT_REAL_USER_NAME)],
    real_id: &[Text(f::PROCESS_PARENT_REAL_USER_ID)],
    publisher: &[Text(f::PROCESS_PARENT_CODE_SIGNATURE_SUBJECT_NAME)],
    signed: &[With(parent_signed)],
    verified: &[Text(f::PROCESS_PARENT_CODE_SIGNATURE_STATUS)],
    md5: &[Lower(f::PROCESS_PARENT_HASH_MD5)],
    sha1: &[Lower(f::PROCESS_PARENT_HASH_SHA1)],
    sha256: &[Lower(f::PROCESS_PARENT_HASH_SHA256)],
};

impl Process {
    /// The vendor's names of a process below `prefix`.
    fn table(&self, prefix: &str) -> Vec<(String, &'static [Op])> {
        [
            ("image.path", self.executable),
            ("name", self.name),
            ("pid", self.pid),
            ("uid", self.entity_id),
            ("cmdline", self.command_line),
            ("startTime", self.start),
            ("displayName", self.title),
            ("integrityLevel", self.integrity),
            ("user", self.user),
            ("eUserName", self.effective),
            ("eUserUid", self.effective_id),
            ("rUserName", self.real),
            ("rUserUid", self.real_id),
            ("publisher", self.publisher),
            ("signedStatus", self.signed),
            ("verifiedStatus", self.verified),
            ("image.md5", self.md5),
            ("image.sha1", self.sha1),
            ("image.sha256", self.sha256),
        ]
        .into_iter()
        .map(|(name, ops)| (format!("{prefix}.{name}"), ops))
        .collect()
    }
}

fn integrity(sheet: &mut Sheet, level: &str) {
    if level != "INTEGRITY_LEVEL_UNKNOWN" {
        sheet.put_lower(f::PROCESS_INTEGRITY_LEVEL, level);
    }
}

fn parent_integrity(sheet: &mut Sheet, level: &str) {
    if level != "INTEGRITY_LEVEL_UNKNOWN" {
        sheet.put_lower(f::PROCESS_PARENT_INTEGRITY_LEVEL, level);
    }
}

fn process_signed(sheet: &mut Sheet, status: &str) {
    sheet.put_bool(f::PROCESS_CODE_SIGNATURE_EXISTS, status == "signed");
}

fn parent_signed(sheet: &mut Sheet, status: &str) {
    sheet.put_bool(f::PROCESS_PARENT_CODE_SIGNATURE_EXISTS, status == "signed");
}

/// The vendor's times of files that it does not know are those of 1601 or 1970.
fn file_time(field: event::FieldId, sheet: &mut Sheet, millis: &str) {
    match text::whole(millis) {
        Some(millis) if millis > 0 => sheet.put_time(field, Timestamp::from_millis(millis)),
        _ => {}
    }
}

/// What every event has.
const COMMON: Table = &[
    ("event.type", &[Text(f::EVENT_ACTION)]),
    ("event.repetitionCount", &[]),
    ("agent.version", &[Text(f::AGENT_VERSION)]),
    ("agent.uuid", &[Text(f::AGENT_ID)]),
    ("endpoint.name", &[Text(f::HOST_NAME)]),
    ("endpoint.type", &[Text(f::HOST_TYPE)]),
    ("endpoint.os", &[Text(f::HOST_OS_FAMILY), With(os_type)]),
    ("os.name", &[Text(f::HOST_OS_NAME)]),
    ("osSrc.process.storyline.id", &[]),
    ("tgt.file.path", &[File]),
    ("tgt.file.extension", &[Text(f::FILE_EXTENSION)]),
    ("tgt.file.size", &[Whole(f::FILE_SIZE)]),
    ("tgt.file.md5", &[Lower(f::FILE_HASH_MD5)]),
    ("tgt.file.sha1", &[Lower(f::FILE_HASH_SHA1)]),
    ("tgt.file.sha256", &[Lower(f::FILE_HASH_SHA256)]),
    ("tgt.file.creationTime", &[With(|sheet, time| file_time(f::FILE_CREATED, sheet, time))]),
    ("tgt.file.modificationTime", &[With(|sheet, time| file_time(f::FILE_MTIME, sheet, time))]),
    ("tgt.file.oldPath", &[Text(f::FILE_EXT_ORIGINAL_PATH)]),
    ("tgt.file.publisher", &[Text(f::FILE_CODE_SIGNATURE_SUBJECT_NAME)]),
    ("namedPipe.name", &[Text(f::FILE_NAME)]),
    ("src.ip.address", &[Ip(f::SOURCE_IP)]),
    ("src.port.number", &[Port(f::SOURCE_PORT)]),
    ("dst.ip.address", &[Ip(f::DESTINATION_IP)]),
    ("dst.port.number", &[Port(f::DESTINATION_PORT)]),
    ("event.network.direction", &[With(direction)]),
    ("event.network.protocolName", &[Lower(f::NETWORK_PROTOCOL)]),
    ("event.dns.request", &[With(dns_request)]),
    ("event.dns.response", &[With(dns_response)]),
    ("event.url.action", &[Text(f::HTTP_REQUEST_METHOD)]),
    ("url.address", &[With(url)]),
    ("registry.keyPath", &[With(registry_path)]),
    ("module.path", &[Path { path: f::DLL_PATH, name: f::DLL_NAME }, File]),
    ("module.md5", &[Lower(f::DLL_HASH_MD5)]),
    ("module.sha1", &[Lower(f::DLL_HASH_SHA1)]),
    ("module.sha256", &[Lower(f::DLL_HASH_SHA256)]),
    ("cmdScript.content", &[Text(f::POWERSHELL_SCRIPT_BLOCK_TEXT)]),
    ("cmdScript.sha256", &[Lower(f::FILE_HASH_SHA256)]),
    ("cmdScript.originalSize", &[Whole(f::FILE_SIZE)]),
    ("event.login.userName", &[Text(f::USER_TARGET_NAME), Text(f::USER_NAME)]),
    ("event.login.accountDomain", &[Text(f::USER_TARGET_DOMAIN), Text(f::USER_DOMAIN)]),
    ("event.login.accountSid", &[Text(f::USER_TARGET_ID), Text(f::USER_ID)]),
    ("event.login.loginIsSuccessful", &[With(outcome)]),
    ("event.login.failureReason", &[Text(f::EVENT_REASON)]),
    ("event.login.type", &[With(logon_type)]),
    ("src.endpoint.ip.address", &[Ip(f::SOURCE_IP)]),
    ("indicator.name", &[Text(f::RULE_NAME)]),
    ("indicator.category", &[Text(f::RULE_CATEGORY)]),
    ("indicator.description", &[Text(f::RULE_DESCRIPTION), With(techniques)]),
    ("tiIndicator.type", &[Text(f::THREAT_INDICATOR_TYPE)]),
    ("tiIndicator.name", &[Text(f::RULE_NAME)]),
    ("k8sCluster.containerId", &[Text(f::CONTAINER_ID)]),
    ("k8sCluster.containerName", &[Text(f::CONTAINER_NAME)]),
    ("k8sCluster.containerImage", &[Text(f::CONTAINER_IMAGE_NAME)]),
];

/// What a loaded driver is: a file, and to Sigma a loaded image.
const DRIVER: Table = &[
    ("tgt.file.path", &[File, Path { path: f::DLL_PATH, name: f::DLL_NAME }]),
    ("tgt.file.sha1", &[Lower(f::FILE_HASH_SHA1), Lower(f::DLL_HASH_SHA1)]),
    ("tgt.file.sha256", &[Lower(f::FILE_HASH_SHA256), Lower(f::DLL_HASH_SHA256)]),
    ("tgt.file.md5", &[Lower(f::FILE_HASH_MD5), Lower(f::DLL_HASH_MD5)]),
];

/// The script's digest and size stand for the script, not for the file that holds it.
const SCRIPT: Table = &[("tgt.file.sha256", &[]), ("tgt.file.size", &[])];

fn os_type(sheet: &mut Sheet, os: &str) {
    let os = match os {
        "osx" | "macos" => "macos",
        "windows" => "windows",
        "linux" => "linux",
        _ => return,
    };
    sheet.put(f::HOST_OS_TYPE, os);
}

fn direction(sheet: &mut Sheet, direction: &str) {
    match direction {
        "OUTGOING" => sheet.put(f::NETWORK_DIRECTION, "outbound"),
        "INCOMING" => sheet.put(f::NETWORK_DIRECTION, "inbound"),
        _ => {}
    }
}

/// `type:  28 name`, or the name alone.
fn dns_request(sheet: &mut Sheet, request: &str) {
    let (kind, name) = values::dns_answer(request.trim());
    sheet.put(f::DNS_QUESTION_NAME, name.trim_end_matches(';'));
    if let Some(kind) = kind {
        sheet.put(f::DNS_QUESTION_TYPE, kind);
    }
}

fn dns_response(sheet: &mut Sheet, response: &str) {
    values::dns_results(sheet, response);
}

fn url(sheet: &mut Sheet, url: &str) {
    sheet.put(f::URL_ORIGINAL, url);
    sheet.put(f::URL_FULL, url);
    sheet.put(f::URL_DOMAIN, super::windows::url_host(url));
}

fn registry_path(sheet: &mut Sheet, path: &str) {
    sheet.put(f::REGISTRY_PATH, &values::registry_root(path));
}

fn outcome(sheet: &mut Sheet, success: &str) {
    let success = success.eq_ignore_ascii_case("true");
    sheet.put(f::EVENT_OUTCOME, if success { "success" } else { "failure" });
}

/// The vendor's logon types, as Microsoft names them.
fn logon_type(sheet: &mut Sheet, kind: &str) {
    let name = match kind {
        "SYSTEM" => "System",
        "INTERACTIVE" => "Interactive",
        "NETWORK" => "Network",
        "BATCH" => "Batch",
        "SERVICE" => "Service",
        "UNLOCK" => "Unlock",
        "NETWORK_CLEAR_TEXT" | "NETWORK_CLEARTEXT" => "NetworkCleartext",
        "NEW_CREDENTIALS" => "NewCredentials",
        "REMOTE_INTERACTIVE" => "RemoteInteractive",
        "CACHED_INTERACTIVE" => "CachedInteractive",
        "CACHED_REMOTE_INTERACTIVE" => "CachedRemoteInteractive",
        "CACHED_UNLOCK" => "CachedUnlock",
        other => other,
    };
    sheet.put(f::WINLOG_LOGON_TYPE, name);
}

/// ATT&CK techniques in `MITRE: Defense Evasion {<a href="…">T1055.012</a>}, …`.
fn techniques(sheet: &mut Sheet, description: &str) {
    let Some((_, mitre)) = description.split_once("MITRE:") else { return };
    sheet.put(f::THREAT_FRAMEWORK, "MITRE ATT&CK");
    let mut rest = mitre;
    while let Some((tactic, behind)) = rest.split_once('{') {
        let (links, next) = behind.split_once('}').unwrap_or((behind, ""));
        sheet.add_once(f::THREAT_TACTIC_NAME, tactic.trim_matches([' ', ',']));
        for link in links.split("<a ").skip(1) {
            let id = link.split('>').nth(1).and_then(|id| id.split('<').next()).unwrap_or("");
            if id.starts_with('T') {
                sheet.add_once(f::THREAT_TECHNIQUE_ID, id);
            }
            if let Some(href) = link.split('"').nth(1) {
                sheet.add_once(f::THREAT_TECHNIQUE_REFERENCE, href);
            }
        }
        rest = next;
    }
}

/// The format `sentinelone-cloud-funnel`.
pub(super) struct CloudFunnel {
    namespace: Namespace,
    meanings: HashMap<&'static str, &'static Meaning>,
    creation: Mapping,
    script: Mapping,
    driver: Mapping,
    other: Mapping,
}

impl CloudFunnel {
    pub(super) fn new() -> Self {
        let namespace = Namespace::new("sentinelone");
        let mapping = |first: Table, processes: &[(&Process, &str)]| {
            let mut names: Vec<(String, &'static [Op])> =
                first.iter().map(|(name, ops)| ((*name).to_owned(), *ops)).collect();
            for (process, prefix) in processes {
                names.extend(process.table(prefix));
            }
            names.extend(COMMON.iter().map(|(name, ops)| ((*name).to_owned(), *ops)));
            Mapping::of(&namespace, names.iter().map(|(name, ops)| (name.as_str(), *ops)))
        };
        let acts: &[(&Process, &str)] = &[(&ACTOR, "src.process"), (&PARENT, "src.process.parent")];
        Self {
            meanings: MEANINGS.iter().map(|meaning| (meaning.event_type, meaning)).collect(),
            creation: mapping(&[], &[(&ACTOR, "tgt.process"), (&PARENT, "src.process")]),
            script: mapping(SCRIPT, acts),
            driver: mapping(DRIVER, acts),
            other: mapping(&[], acts),
            namespace,
        }
    }
}

impl Format for CloudFunnel {
    fn name(&self) -> &str {
        "sentinelone-cloud-funnel"
    }

    fn aliases(&self) -> Vec<&str> {
        vec!["cloud_funnel2.0"]
    }

    fn describe(&self) -> &str {
        "SentinelOne Cloud Funnel 2: endpoint telemetry as flat JSON"
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let mut sheet = Sheet::new(builder);
        super::with_object(&mut sheet, |sheet, json| self.event(sheet, json)).finish(sheet)
    }
}

impl CloudFunnel {
    fn event(&self, sheet: &mut Sheet, json: &Json<'_>) -> Result<(), String> {
        let pairs = json.object().unwrap_or_default();
        let text = |key| value(json, pairs, key).and_then(Json::present);
        let Some(event_type) = text("event.type") else {
            return Err("the object has no event.type, so it is no Cloud Funnel 2 event; check \
                        the feed's format"
                .to_owned());
        };
        sheet.put(f::EVENT_MODULE, "sentinelone");
        // As SEKOIA.IO calls it, so that what was built on that name keeps working.
        sheet.put(f::EVENT_DATASET, "cloud-funnel-2.0");
        sheet.put(f::OBSERVER_VENDOR, "SentinelOne");
        sheet.put(f::OBSERVER_PRODUCT, "Singularity");
        sheet.put(f::OBSERVER_TYPE, "endpoint");
        if event_type == "Logout" {
            sheet.put(f::EVENT_OUTCOME, "success");
        }
        // A login's account comes before the account of the process that let it in.
        if let Some(name) = text("event.login.userName") {
            sheet.put(f::USER_NAME, name);
            if let Some(domain) = text("event.login.accountDomain") {
                sheet.put(f::USER_DOMAIN, domain);
                sheet.put(f::USER_FULL, &format!("{domain}\\{name}"));
            } else {
                sheet.put(f::USER_FULL, name);
            }
        }
        let mapping = match event_type {
            "Process Creation" => &self.creation,
            "Command Script" => &self.script,
            "Driver Load" => &self.driver,
            _ => &self.other,
        };
        sheet.keep_all(&self.namespace, pairs, &mut |sheet, field, value| {
            if let Some(text) = value.text() {
                mapping.run(sheet, field, text);
            }
        });
        for (name, path) in [
            (f::PROCESS_NAME, f::PROCESS_EXECUTABLE),
            (f::PROCESS_PARENT_NAME, f::PROCESS_PARENT_EXECUTABLE),
        ] {
            sheet.put_basename(name, path);
        }
        self.meaning(sheet, event_type, text("event.category"));
        registry(sheet, event_type, &text);
        let time = ["event.time", "timestamp"].iter().find_map(|key| text(key));
        sheet.set_time(time.and_then(text::utc));
        Ok(())
    }

    fn meaning(&self, sheet: &mut Sheet, event_type: &str, category: Option<&str>) {
        match self.meanings.get(event_type) {
            Some(meaning) => {
                sheet.put(f::EVENT_KIND, meaning.kind);
                sheet.put_all(f::EVENT_CATEGORY, meaning.category);
                sheet.put_all(f::EVENT_TYPE, meaning.types);
            }
            None => {
                let known = CATEGORIES.iter().find(|(name, _)| Some(*name) == category);
                sheet.put(f::EVENT_KIND, "event");
                sheet.put_all(f::EVENT_CATEGORY, known.map_or(&[], |(_, category)| category));
                sheet.put_all(f::EVENT_TYPE, &["info"]);
            }
        }
    }
}

/// The value of a dotted key, also where a relay has nested it.
fn value<'o, 'a>(json: &'o Json<'a>, pairs: &'o Object<'a>, key: &str) -> Option<&'o Json<'a>> {
    find(pairs, key).or_else(|| {
        let keys: Vec<&str> = key.split('.').collect();
        json.at(&keys)
    })
}

/// The registry's parts, and its data in Sysmon's form.
fn registry<'v>(
    sheet: &mut Sheet,
    event_type: &str,
    text: &impl Fn(&'static str) -> Option<&'v str>,
) {
    if !sheet.has(f::REGISTRY_PATH) {
        return;
    }
    values::registry_parts(sheet, event_type.starts_with("Registry Value"));
    if let Some(kind) = text("registry.valueType") {
        registry_data(sheet, kind, text("registry.value"));
    }
}
