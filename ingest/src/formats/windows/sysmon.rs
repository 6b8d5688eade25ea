//! Sysmon: events 1 to 29 and 255, after the schema that `sysmon -s` prints and Elastic's
//! ECS mapping. Titles are those of Microsoft's documentation.

use event::fields as f;

use super::{rule::Rule, values};
use crate::formats::{
    mapping::{Account, DLL_HASH, FILE_HASH, Op::*, PROCESS_HASH, Table, USER},
    sheet::Sheet,
};

/// What most events have.
pub(super) const COMMON: Table = &[
    ("RuleName", &[Text(f::RULE_NAME)]),
    ("ProcessGuid", &[Text(f::PROCESS_ENTITY_ID)]),
    ("ProcessId", &[Pid(f::PROCESS_PID)]),
    ("Image", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("User", &[Account(&USER)]),
];

const PARENT_USER: Account =
    Account { name: f::PROCESS_PARENT_USER_NAME, domain: None, full: None };

const PROCESS: Table = &[
    ("CommandLine", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("CurrentDirectory", &[Text(f::PROCESS_WORKING_DIRECTORY)]),
    ("IntegrityLevel", &[Text(f::PROCESS_INTEGRITY_LEVEL)]),
    ("Hashes", &[Hashes(&PROCESS_HASH)]),
    ("LogonId", &[Text(f::WINLOG_LOGON_ID)]),
    ("OriginalFileName", &[Text(f::PROCESS_PE_ORIGINAL_FILE_NAME)]),
    ("Description", &[Text(f::PROCESS_PE_DESCRIPTION)]),
    ("Product", &[Text(f::PROCESS_PE_PRODUCT)]),
    ("Company", &[Text(f::PROCESS_PE_COMPANY)]),
    ("FileVersion", &[Text(f::PROCESS_PE_FILE_VERSION)]),
    ("ParentProcessGuid", &[Text(f::PROCESS_PARENT_ENTITY_ID)]),
    ("ParentProcessId", &[Pid(f::PROCESS_PARENT_PID)]),
    ("ParentImage", &[Path { path: f::PROCESS_PARENT_EXECUTABLE, name: f::PROCESS_PARENT_NAME }]),
    ("ParentCommandLine", &[Text(f::PROCESS_PARENT_COMMAND_LINE)]),
    // Kept in one piece: `ParentUser` of Sigma rules is `DOMAIN\name`.
    ("ParentUser", &[Text(PARENT_USER.name)]),
];

/// The process that acts on another.
const SOURCE: Table = &[
    ("SourceProcessGuid", &[Text(f::PROCESS_ENTITY_ID)]),
    ("SourceProcessGUID", &[Text(f::PROCESS_ENTITY_ID)]),
    ("SourceProcessId", &[Pid(f::PROCESS_PID)]),
    ("SourceThreadId", &[Whole(f::PROCESS_THREAD_ID)]),
    ("SourceImage", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("SourceUser", &[Account(&USER)]),
];

const FILE: Table = &[
    ("TargetFilename", &[File]),
    ("CreationUtcTime", &[Time(f::FILE_CREATED)]),
    ("Hashes", &[Hashes(&FILE_HASH)]),
    ("Hash", &[Hashes(&FILE_HASH)]),
];

const NETWORK: Table = &[
    ("Protocol", &[Lower(f::NETWORK_TRANSPORT)]),
    ("Initiated", &[With(values::initiated)]),
    ("SourceIsIpv6", &[With(values::network_type)]),
    ("SourceIp", &[Ip(f::SOURCE_IP)]),
    ("SourceHostname", &[Text(f::SOURCE_DOMAIN)]),
    ("SourcePort", &[Port(f::SOURCE_PORT)]),
    ("DestinationIp", &[Ip(f::DESTINATION_IP)]),
    ("DestinationHostname", &[Text(f::DESTINATION_DOMAIN)]),
    ("DestinationPort", &[Port(f::DESTINATION_PORT)]),
    ("DestinationPortName", &[Lower(f::NETWORK_PROTOCOL)]),
];

/// A driver is a file in ECS, and a loaded image to Sigma.
const DRIVER: Table = &[
    ("ImageLoaded", &[File, Path { path: f::DLL_PATH, name: f::DLL_NAME }]),
    ("Hashes", &[Hashes(&FILE_HASH), Hashes(&DLL_HASH)]),
    ("Signed", &[Bool(f::FILE_CODE_SIGNATURE_EXISTS), Bool(f::DLL_CODE_SIGNATURE_EXISTS)]),
    (
        "Signature",
        &[Text(f::FILE_CODE_SIGNATURE_SUBJECT_NAME), Text(f::DLL_CODE_SIGNATURE_SUBJECT_NAME)],
    ),
    ("SignatureStatus", &[Text(f::FILE_CODE_SIGNATURE_STATUS), Text(f::DLL_CODE_SIGNATURE_STATUS)]),
];

const LIBRARY: Table = &[
    ("ImageLoaded", &[Path { path: f::DLL_PATH, name: f::DLL_NAME }, File]),
    ("Hashes", &[Hashes(&DLL_HASH), Hashes(&FILE_HASH)]),
    ("OriginalFileName", &[Text(f::DLL_PE_ORIGINAL_FILE_NAME)]),
    ("Description", &[Text(f::DLL_PE_DESCRIPTION)]),
    ("Product", &[Text(f::DLL_PE_PRODUCT)]),
    ("Company", &[Text(f::DLL_PE_COMPANY)]),
    ("FileVersion", &[Text(f::DLL_PE_FILE_VERSION)]),
    ("Signed", &[Bool(f::DLL_CODE_SIGNATURE_EXISTS)]),
    ("Signature", &[Text(f::DLL_CODE_SIGNATURE_SUBJECT_NAME)]),
    ("SignatureStatus", &[Text(f::DLL_CODE_SIGNATURE_STATUS)]),
];

const REGISTRY: Table = &[
    ("EventType", &[With(registry_change)]),
    ("TargetObject", &[Text(f::REGISTRY_PATH)]),
    ("Details", &[With(values::registry_details)]),
];

const PIPE: Table = &[("PipeName", &[Text(f::FILE_NAME)])];

const DNS: Table = &[
    ("QueryName", &[Text(f::DNS_QUESTION_NAME)]),
    ("QueryStatus", &[With(values::dns_status)]),
    ("QueryResults", &[With(values::dns_results)]),
];

const ERROR: Table = &[("Description", &[Text(f::EVENT_REASON), Text(f::ERROR_MESSAGE)])];

/// The event's type from what was done to the registry.
fn registry_change(sheet: &mut Sheet, event_type: &str) {
    let kind = match event_type {
        "CreateKey" | "CreateValue" => "creation",
        "DeleteKey" | "DeleteValue" => "deletion",
        _ => "change",
    };
    sheet.put(f::EVENT_TYPE, kind);
}

/// Events 12 are about keys, unless a value is deleted.
fn registry_object(sheet: &mut Sheet) {
    let value = sheet
        .get(f::WINLOG_EVENT_DATA_EVENT_TYPE)
        .is_some_and(|event_type| event_type.ends_with("Value"));
    values::registry_parts(sheet, value);
}

/// The events.
pub(super) const RULES: &[Rule] = &[
    Rule::new(1, "Process creation", "process-created")
        .is(&["process"], &["start"])
        .maps(&[PROCESS]),
    Rule::new(2, "A process changed a file creation time", "file-time-changed")
        .is(&["file"], &["change"])
        .maps(&[FILE]),
    Rule::new(3, "Network connection", "network-connection")
        .is(&["network"], &["start", "connection", "protocol"])
        .maps(&[NETWORK]),
    Rule::new(4, "Sysmon service state changed", "sysmon-state-changed")
        .is(&["process"], &["change"]),
    Rule::new(5, "Process terminated", "process-terminated").is(&["process"], &["end"]),
    Rule::new(6, "Driver loaded", "driver-loaded").is(&["driver"], &["start"]).maps(&[DRIVER]),
    Rule::new(7, "Image loaded", "image-loaded").is(&["library"], &["start"]).maps(&[LIBRARY]),
    Rule::new(8, "CreateRemoteThread", "remote-thread-created")
        .is(&["process"], &["change"])
        .maps(&[SOURCE]),
    Rule::new(9, "RawAccessRead", "raw-disk-read").is(&["process"], &["access"]),
    Rule::new(10, "ProcessAccess", "process-accessed")
        .is(&["process"], &["access"])
        .maps(&[SOURCE]),
    Rule::new(11, "FileCreate", "file-created").is(&["file"], &["creation"]).maps(&[FILE]),
    Rule::new(12, "RegistryEvent (Object create and delete)", "registry-object-changed")
        .is(&["registry", "configuration"], &["change"])
        .maps(&[REGISTRY])
        .then(registry_object),
    Rule::new(13, "RegistryEvent (Value Set)", "registry-value-set")
        .is(&["registry", "configuration"], &["change"])
        .maps(&[REGISTRY])
        .then(|sheet| values::registry_parts(sheet, true)),
    Rule::new(14, "RegistryEvent (Key and Value Rename)", "registry-object-renamed")
        .is(&["registry", "configuration"], &["change"])
        .maps(&[REGISTRY])
        .then(|sheet| values::registry_parts(sheet, true)),
    Rule::new(15, "FileCreateStreamHash", "file-stream-created")
        .is(&["file"], &["creation"])
        .maps(&[FILE]),
    Rule::new(16, "Sysmon config state changed", "sysmon-config-changed")
        .is(&["configuration"], &["change"]),
    Rule::new(17, "Pipe created", "pipe-created").is(&["file"], &["creation"]).maps(&[PIPE]),
    Rule::new(18, "Pipe connected", "pipe-connected").is(&["file"], &["access"]).maps(&[PIPE]),
    Rule::new(19, "WmiEventFilter activity detected", "wmi-filter-changed")
        .is(&["configuration"], &["change"]),
    Rule::new(20, "WmiEventConsumer activity detected", "wmi-consumer-changed")
        .is(&["configuration"], &["change"]),
    Rule::new(21, "WmiEventConsumerToFilter activity detected", "wmi-binding-changed")
        .is(&["configuration"], &["change"]),
    Rule::new(22, "DNS query", "dns-query")
        .is(&["network"], &["connection", "protocol", "info"])
        .maps(&[DNS])
        .then(|sheet| sheet.put(f::NETWORK_PROTOCOL, "dns")),
    Rule::new(23, "FileDelete", "file-deleted").is(&["file"], &["deletion"]).maps(&[FILE]),
    Rule::new(24, "ClipboardChange", "clipboard-changed").is(&["host"], &["change"]),
    Rule::new(25, "ProcessTampering", "process-tampered").is(&["process"], &["change"]),
    Rule::new(26, "FileDeleteDetected", "file-deleted").is(&["file"], &["deletion"]).maps(&[FILE]),
    Rule::new(27, "FileBlockExecutable", "file-blocked")
        .is(&["file"], &["creation", "denied"])
        .maps(&[FILE]),
    Rule::new(28, "FileBlockShredding", "file-shredding-blocked")
        .is(&["file"], &["deletion", "denied"])
        .maps(&[FILE]),
    Rule::new(29, "FileExecutableDetected", "executable-file-created")
        .is(&["file"], &["creation"])
        .maps(&[FILE]),
    Rule::new(255, "Error", "sysmon-error").is(&["host"], &["error"]).maps(&[ERROR]),
];
