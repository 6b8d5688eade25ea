//! Sigma's field names and the event fields with the same meaning.
//!
//! Names are those of Sigma's taxonomy appendix and of the sources it follows (Sysmon's and
//! the Security log's event data); targets are ECS fields and, where ECS has none, ours.

/// Rule field and event fields.
pub(crate) type Names = &'static [(&'static str, &'static [&'static str])];

/// The system section of a Windows event. `Source` and the like are what collectors call it.
pub(crate) const SYSTEM: Names = &[
    ("EventID", &["event.code"]),
    ("EventId", &["event.code"]),
    ("Channel", &["winlog.channel"]),
    ("EventLog", &["winlog.channel"]),
    ("Provider_Name", &["winlog.provider_name", "event.provider"]),
    ("ProviderName", &["winlog.provider_name", "event.provider"]),
    ("Source", &["winlog.provider_name", "event.provider"]),
    ("SourceName", &["winlog.provider_name", "event.provider"]),
    ("Provider_Guid", &["winlog.provider_guid"]),
    ("Computer", &["winlog.computer_name", "host.name"]),
    ("ComputerName", &["winlog.computer_name", "host.name"]),
    ("Computername", &["winlog.computer_name", "host.name"]),
    ("Hostname", &["winlog.computer_name", "host.name"]),
    ("Level", &["winlog.level"]),
    ("Task", &["winlog.task"]),
    ("Opcode", &["winlog.opcode"]),
    ("Keywords", &["winlog.keywords"]),
    ("Version", &["winlog.version"]),
    ("EventRecordID", &["winlog.record_id"]),
    ("RecordNumber", &["winlog.record_id"]),
    ("Execution_ProcessID", &["winlog.process.pid"]),
    ("ExecutionProcessID", &["winlog.process.pid"]),
    ("Execution_ThreadID", &["winlog.process.thread.id"]),
    ("Security_UserID", &["winlog.user.identifier"]),
    ("UserID", &["winlog.user.identifier"]),
    ("Message", &["message"]),
    ("TimeCreated", &["@timestamp"]),
    ("UtcTime", &["@timestamp"]),
];

/// The process that acts, which every endpoint event has.
pub(crate) const ACTOR: Names = &[
    ("Image", &["process.executable"]),
    ("CommandLine", &["process.command_line"]),
    ("ProcessId", &["process.pid"]),
    ("ProcessGuid", &["process.entity_id"]),
    ("CurrentDirectory", &["process.working_directory"]),
    ("User", &["jacquemart.user.full", "user.name"]),
    ("LogonId", &["winlog.logon.id"]),
    ("IntegrityLevel", &["process.integrity_level"]),
    ("ParentImage", &["process.parent.executable"]),
    ("ParentCommandLine", &["process.parent.command_line"]),
    ("ParentProcessId", &["process.parent.pid"]),
    ("ParentProcessGuid", &["process.parent.entity_id"]),
    ("ParentUser", &["process.parent.user.name"]),
    ("ParentIntegrityLevel", &["process.parent.integrity_level"]),
    ("GrandParentImage", &["process.parent.parent.executable"]),
];

/// Of the file that a process was started from.
const PROCESS_FILE: Names = &[
    ("OriginalFileName", &["process.pe.original_file_name"]),
    ("Description", &["process.pe.description"]),
    ("Product", &["process.pe.product"]),
    ("Company", &["process.pe.company"]),
    ("FileVersion", &["process.pe.file_version"]),
    ("md5", &["process.hash.md5"]),
    ("sha1", &["process.hash.sha1"]),
    ("sha256", &["process.hash.sha256"]),
    ("Imphash", &["process.pe.imphash"]),
    ("imphash", &["process.pe.imphash"]),
];

const NETWORK: Names = &[
    ("SourceIp", &["source.ip"]),
    ("SourcePort", &["source.port"]),
    ("SourceHostname", &["source.domain"]),
    ("DestinationIp", &["destination.ip"]),
    ("DestinationPort", &["destination.port"]),
    ("DestinationPortName", &["network.protocol"]),
    ("DestinationHostname", &["destination.domain"]),
    ("Protocol", &["network.transport"]),
];

const DNS: Names = &[
    ("QueryName", &["dns.question.name"]),
    ("query", &["dns.question.name"]),
    ("QueryStatus", &["dns.response_code"]),
    ("QueryResults", &["dns.answers.data", "dns.answers.name", "dns.resolved_ip"]),
    ("answer", &["dns.answers.data", "dns.answers.name", "dns.resolved_ip"]),
    ("record_type", &["dns.question.type"]),
    ("parent_domain", &["dns.question.registered_domain"]),
];

const FILE: Names = &[
    ("TargetFilename", &["file.path"]),
    ("FileName", &["file.path"]),
    ("SourceFilename", &["file.Ext.original.path"]),
    ("CreationUtcTime", &["file.created"]),
    ("md5", &["file.hash.md5"]),
    ("sha1", &["file.hash.sha1"]),
    ("sha256", &["file.hash.sha256"]),
    ("Imphash", &["file.pe.imphash"]),
];

const REGISTRY: Names =
    &[("TargetObject", &["registry.path"]), ("Details", &["registry.data.details"])];

const LIBRARY: Names = &[
    ("ImageLoaded", &["dll.path"]),
    ("OriginalFileName", &["dll.pe.original_file_name"]),
    ("Description", &["dll.pe.description"]),
    ("Product", &["dll.pe.product"]),
    ("Company", &["dll.pe.company"]),
    ("FileVersion", &["dll.pe.file_version"]),
    ("Signed", &["dll.code_signature.exists"]),
    ("Signature", &["dll.code_signature.subject_name"]),
    ("SignatureStatus", &["dll.code_signature.status"]),
    ("md5", &["dll.hash.md5"]),
    ("sha1", &["dll.hash.sha1"]),
    ("sha256", &["dll.hash.sha256"]),
    ("Imphash", &["dll.pe.imphash"]),
];

const DRIVER: Names = &[
    ("ImageLoaded", &["dll.path", "file.path"]),
    ("Signed", &["dll.code_signature.exists", "file.code_signature.exists"]),
    ("Signature", &["dll.code_signature.subject_name", "file.code_signature.subject_name"]),
    ("SignatureStatus", &["dll.code_signature.status", "file.code_signature.status"]),
    ("md5", &["dll.hash.md5", "file.hash.md5"]),
    ("sha1", &["dll.hash.sha1", "file.hash.sha1"]),
    ("sha256", &["dll.hash.sha256", "file.hash.sha256"]),
    ("Imphash", &["dll.pe.imphash", "file.pe.imphash"]),
];

/// A process that acts on another.
const ACCESS: Names = &[
    ("SourceImage", &["process.executable"]),
    ("SourceCommandLine", &["process.command_line"]),
    ("SourceParentImage", &["process.parent.executable"]),
    ("SourceUser", &["jacquemart.user.full", "user.name"]),
    ("SourceProcessId", &["process.pid"]),
    ("SourceProcessGUID", &["process.entity_id"]),
    ("TargetImage", &["process.target.executable", "sentinelone.tgt.process.image.path"]),
];

const PIPE: Names = &[("PipeName", &["file.name"])];

const SCRIPT: Names = &[
    ("ScriptBlockText", &["powershell.file.script_block_text"]),
    ("ScriptBlockId", &["powershell.file.script_block_id"]),
    ("Path", &["file.path"]),
    ("HostApplication", &["process.command_line"]),
];

const ANTIVIRUS: Names = &[
    ("Signature", &["threat.software.name", "rule.name"]),
    ("Filename", &["file.path"]),
    ("FileName", &["file.path"]),
    ("Action", &["event.action"]),
    ("Status", &["event.outcome"]),
    ("User", &["jacquemart.user.full", "user.name"]),
    ("md5", &["file.hash.md5"]),
    ("sha1", &["file.hash.sha1"]),
    ("sha256", &["file.hash.sha256"]),
];

/// Phone defence; there is no such log source in Sigma's own taxonomy.
pub(crate) const PHONE: Names = &[
    ("ThreatType", &["threat.indicator.type"]),
    ("ThreatName", &["rule.name", "threat.software.name"]),
    ("ThreatClass", &["rule.category"]),
    ("Severity", &["event.severity"]),
    ("Status", &["mtd.threat.status"]),
    ("StatusName", &["mtd.status.name"]),
    ("StatusValue", &["mtd.status.value"]),
    ("ThreatLevel", &["mtd.threat.level"]),
    ("AppName", &["package.name"]),
    ("AppId", &["mtd.app.package"]),
    ("AppSha1", &["package.checksum", "file.hash.sha1"]),
    ("AppSha256", &["file.hash.sha256"]),
    ("Permission", &["mtd.app.permission"]),
    ("DeviceId", &["device.id"]),
    ("DeviceModel", &["device.model.name", "device.model.identifier"]),
    ("DeviceManufacturer", &["device.manufacturer"]),
    ("OsName", &["host.os.name"]),
    ("OsVersion", &["host.os.version"]),
    ("OsPatch", &["mtd.device.security_patch"]),
    ("Byod", &["mtd.device.byod"]),
    ("UserEmail", &["user.email"]),
    ("Url", &["url.original"]),
    ("FilePath", &["file.path"]),
    ("Policy", &["rule.ruleset"]),
    ("ComplianceStatus", &["mtd.compliance.status"]),
    ("Action", &["event.action"]),
];

/// SentinelOne's console: threats, activities and agents.
pub(crate) const CONSOLE: Names = &[
    ("ThreatName", &["threat.software.name", "sentinelone.threatInfo.threatName"]),
    ("Classification", &["rule.category", "sentinelone.threatInfo.classification"]),
    (
        "Confidence",
        &[
            "sentinelone.threatInfo.confidenceLevel",
            "sentinelone.data.confidencelevel",
            "sentinelone.data.confidenceLevel",
        ],
    ),
    ("MitigationStatus", &["sentinelone.threatInfo.mitigationStatus", "sentinelone.data.status"]),
    (
        "Verdict",
        &[
            "sentinelone.threatInfo.analystVerdict",
            "sentinelone.data.newanalystverdict",
            "sentinelone.data.newAnalystVerdict",
        ],
    ),
    ("ActivityType", &["event.code", "sentinelone.activityType"]),
    ("OperationalState", &["sentinelone.operationalState"]),
    ("MitigationMode", &["sentinelone.mitigationMode"]),
    ("Infected", &["sentinelone.infected"]),
    ("ActiveThreats", &["sentinelone.activeThreats"]),
    ("IsDecommissioned", &["sentinelone.isDecommissioned"]),
    ("IsUninstalled", &["sentinelone.isUninstalled"]),
    ("RuleName", &["rule.name"]),
    ("FilePath", &["file.path", "sentinelone.threatInfo.filePath"]),
    ("Sha1", &["file.hash.sha1", "sentinelone.threatInfo.sha1"]),
    ("Sha256", &["file.hash.sha256", "sentinelone.threatInfo.sha256"]),
    ("Image", &["process.executable"]),
    ("CommandLine", &["process.command_line"]),
    ("Computer", &["host.name"]),
    ("User", &["user.name", "jacquemart.user.full"]),
    (
        "Site",
        &[
            "organization.name",
            "sentinelone.agentRealtimeInfo.siteName",
            "sentinelone.agentDetectionInfo.siteName",
            "sentinelone.siteName",
            "sentinelone.data.siteName",
        ],
    ),
    ("MitreTechnique", &["threat.technique.id"]),
    ("Action", &["event.action"]),
    ("Message", &["message", "sentinelone.primaryDescription"]),
];

/// The tables that apply to rules of a category, the nearer first.
pub(crate) fn of_category(category: &str) -> &'static [Names] {
    match category {
        "process_creation" | "process_termination" => &[PROCESS_FILE, ACTOR],
        "network_connection" => &[NETWORK, ACTOR],
        "dns_query" | "dns" => &[DNS, ACTOR],
        "image_load" => &[LIBRARY, ACTOR],
        "driver_load" => &[DRIVER, ACTOR],
        "process_access" | "create_remote_thread" | "process_tampering" | "raw_access_thread" => {
            &[ACCESS, ACTOR]
        }
        "pipe_created" => &[PIPE, ACTOR],
        "ps_script"
        | "ps_module"
        | "ps_classic_start"
        | "ps_classic_provider_start"
        | "ps_classic_script" => &[SCRIPT, ACTOR],
        "antivirus" => &[ANTIVIRUS, ACTOR],
        "wmi_event" | "sysmon_status" | "sysmon_error" | "clipboard_capture"
        | "clipboard_change" => &[ACTOR],
        _ if category.starts_with("file_") || category == "create_stream_hash" => &[FILE, ACTOR],
        _ if category.starts_with("registry_") => &[REGISTRY, ACTOR],
        _ => &[],
    }
}

/// Whether events of `category` have `field` in their event data though ECS has none for it.
pub(crate) fn has_native_name(category: &str, field: &str) -> bool {
    matches!(field, "RuleName" | "UtcTime") || native_names(category).contains(&field)
}

/// Fields that events of `category` have in their event data though ECS has none for them.
pub(crate) fn native_names(category: &str) -> &'static [&'static str] {
    match category {
        "process_creation" => &[
            "Hashes",
            "LogonGuid",
            "TerminalSessionId",
            "NewProcessName",
            "NewProcessId",
            "ParentProcessName",
            "TokenElevationType",
            "MandatoryLabel",
            "SubjectUserName",
            "SubjectUserSid",
            "SubjectDomainName",
            "SubjectLogonId",
            "TargetUserName",
            "TargetUserSid",
            "TargetDomainName",
            "TargetLogonId",
        ],
        "network_connection" => {
            &["Initiated", "SourceIsIpv6", "DestinationIsIpv6", "SourcePortName"]
        }
        "image_load" | "driver_load" => &["Hashes"],
        "process_access" => &[
            "GrantedAccess",
            "CallTrace",
            "TargetUser",
            "SourceThreadId",
            "TargetProcessId",
            "TargetProcessGUID",
        ],
        "create_remote_thread" => &[
            "StartAddress",
            "StartModule",
            "StartFunction",
            "NewThreadId",
            "TargetUser",
            "TargetProcessId",
            "TargetProcessGuid",
            "SourceProcessGuid",
        ],
        "process_tampering" => &["Type"],
        "raw_access_thread" => &["Device"],
        "create_stream_hash" => &["Hash", "Hashes", "Contents"],
        "file_change" => &["PreviousCreationUtcTime"],
        "pipe_created" => &["EventType"],
        "wmi_event" => &[
            "EventType",
            "Operation",
            "EventNamespace",
            "Name",
            "Query",
            "Type",
            "Destination",
            "Consumer",
            "Filter",
        ],
        "sysmon_status" => {
            &["State", "Version", "SchemaVersion", "Configuration", "ConfigurationFileHash"]
        }
        "sysmon_error" => &["ID", "Description"],
        "clipboard_capture" | "clipboard_change" => {
            &["Session", "ClientInfo", "Hashes", "Archived"]
        }
        "ps_script" => &["MessageNumber", "MessageTotal"],
        "ps_module" => &["Payload", "ContextInfo", "UserData"],
        "ps_classic_start" | "ps_classic_provider_start" | "ps_classic_script" => &[
            "Data",
            "HostName",
            "HostVersion",
            "EngineVersion",
            "NewEngineState",
            "PreviousEngineState",
            "ProviderName",
            "NewProviderState",
        ],
        "antivirus" => &[
            "Threat Name",
            "Path",
            "Hash",
            "Hashes",
            "Severity Name",
            "Category Name",
            "Process Name",
            "Detection User",
        ],
        _ if category.starts_with("file_") => &["Hashes", "Archived", "IsExecutable"],
        _ if category.starts_with("registry_") => &[
            "EventType",
            "NewName",
            "ObjectName",
            "ObjectValueName",
            "OperationType",
            "NewValue",
            "OldValue",
            "NewValueType",
            "OldValueType",
            "ProcessName",
        ],
        _ => &[],
    }
}
