//! Field names as small integers.
//!
//! Decoders, the engine and the index all speak of fields by [`FieldId`], so that looking a
//! field up is an array access. Names live once for the life of the process. As part of
//! them comes from outside (a vendor's keys), the table is bounded: past [`FIELDS_MAX`]
//! names, or for a name that is no sane one, `intern` says `None` and the caller keeps the
//! value under [`fields::UNMAPPED`] as `name=value`, so nothing is lost and memory stays
//! bounded. A feed may enter [`FEED_FIELDS_MAX`] names of its own, so that none takes the
//! others' room; names that the table has are free to all.

use std::{
    collections::HashMap,
    fmt,
    sync::{OnceLock, PoisonError, RwLock},
};

use foldhash::fast::RandomState;

use crate::FeedId;

/// Names that the table holds at most.
pub const FIELDS_MAX: usize = 1 << 16;

/// Names that one feed enters into the table at most.
pub const FEED_FIELDS_MAX: usize = 1 << 11;

/// Names that feeds leave for what is loaded later: formats, rules and queries.
const FIELDS_KEPT: usize = 1 << 12;

/// Bytes that a field's name has at most.
const NAME_BYTES_MAX: usize = 256;

/// A field's name, e.g. `process.command_line`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(u32);

struct Table {
    ids: HashMap<&'static str, FieldId, RandomState>,
    /// How many names each feed has entered.
    of_feeds: HashMap<FeedId, usize>,
}

/// Names in the order of their ids, which are read without a lock: written once each, under
/// the table's, before anyone is told the id.
static NAMES: [OnceLock<Box<[OnceLock<&'static str>]>>; FIELDS_MAX / NAMES_CHUNK] =
    [const { OnceLock::new() }; FIELDS_MAX / NAMES_CHUNK];

/// Names that room is made for at once.
const NAMES_CHUNK: usize = 1 << 10;

fn table() -> &'static RwLock<Table> {
    static TABLE: OnceLock<RwLock<Table>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table { ids: HashMap::default(), of_feeds: HashMap::new() };
        for name in fields::KNOWN {
            // The names in the code are far fewer than `FIELDS_MAX`.
            let _ = table.enter(name);
        }
        RwLock::new(table)
    })
}

impl Table {
    fn enter(&mut self, name: &'static str) -> Option<FieldId> {
        let index = self.ids.len();
        let chunk = NAMES.get(index / NAMES_CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..NAMES_CHUNK).map(|_| OnceLock::new()).collect());
        chunk.get(index % NAMES_CHUNK)?.set(name).ok()?;
        let id = FieldId(u32::try_from(index).ok()?);
        self.ids.insert(name, id);
        Some(id)
    }
}

impl FieldId {
    /// The id of `name`, entered into the table where it is new; `None` where the table is
    /// full or `name` is empty, longer than 256 bytes, or has control characters. For names
    /// that come by a feed, [`intern_for`](Self::intern_for).
    pub fn intern(name: &str) -> Option<Self> {
        Self::intern_within(name, None)
    }

    /// The same for a name that `feed` brings; `None` also where it has entered
    /// [`FEED_FIELDS_MAX`] names.
    pub fn intern_for(feed: &FeedId, name: &str) -> Option<Self> {
        Self::intern_within(name, Some(feed))
    }

    fn intern_within(name: &str, feed: Option<&FeedId>) -> Option<Self> {
        if let Some(id) = Self::lookup(name) {
            return Some(id);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return None;
        }
        let mut table = table().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.ids.get(name) {
            return Some(*id);
        }
        let kept = if feed.is_some() { FIELDS_KEPT } else { 0 };
        if table.ids.len() >= FIELDS_MAX - kept {
            return None;
        }
        if let Some(feed) = feed {
            let entered = table.of_feeds.entry(feed.clone()).or_default();
            if *entered >= FEED_FIELDS_MAX {
                return None;
            }
            *entered += 1;
        }
        table.enter(Box::leak(name.into()))
    }

    /// The id of `name` where any event or rule has named it before.
    pub fn lookup(name: &str) -> Option<Self> {
        table().read().unwrap_or_else(PoisonError::into_inner).ids.get(name).copied()
    }

    /// The dotted name.
    pub fn name(self) -> &'static str {
        if let Some(name) = fields::KNOWN.get(self.index()) {
            return name;
        }
        let chunk = NAMES.get(self.index() / NAMES_CHUNK).and_then(OnceLock::get);
        // Every id but those of the code was told after its name was written.
        chunk.and_then(|chunk| chunk[self.index() % NAMES_CHUNK].get()).copied().unwrap_or_default()
    }

    /// A dense index below [`FIELDS_MAX`], for tables kept by field.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// How many names there are now; every id's index is below it.
    pub fn count() -> usize {
        table().read().unwrap_or_else(PoisonError::into_inner).ids.len()
    }

    /// All names known now, sorted.
    pub fn all_names() -> Vec<&'static str> {
        let table = table().read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = table.ids.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! known_fields {
    ($($(#[$doc:meta])* $ident:ident = $name:literal),* $(,)?) => {
        /// Fields that the code names, with their ids fixed at compile time. Names are ECS
        /// 9.x unless their first part is a vendor's.
        pub mod fields {
            use super::FieldId;

            #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "only its ordinals are used")]
            #[repr(u32)]
            enum Ordinal { $($ident),* }

            /// Every name here, in the order of the ids.
            pub const KNOWN: &[&str] = &[$($name),*];

            $($(#[$doc])*
            #[doc = concat!("`", $name, "`")]
            pub const $ident: FieldId = FieldId(Ordinal::$ident as u32);)*
        }
    };
}

known_fields! {
    /// When it happened; kept in the event itself, not among its entries.
    TIMESTAMP = "@timestamp",
    MESSAGE = "message",
    TAGS = "tags",
    ERROR_MESSAGE = "error.message",
    ERROR_TYPE = "error.type",
    /// Values whose names were refused, as `name=value`.
    UNMAPPED = "jacquemart.unmapped",
    FEED_ID = "jacquemart.feed",
    SHIPPER_HOST = "jacquemart.shipper.host",
    EVENT_ACTION = "event.action",
    EVENT_CATEGORY = "event.category",
    EVENT_CODE = "event.code",
    EVENT_CREATED = "event.created",
    EVENT_DATASET = "event.dataset",
    EVENT_DURATION = "event.duration",
    EVENT_END = "event.end",
    /// Kept in the event itself, not among its entries.
    EVENT_ID = "event.id",
    /// When it was received; kept in the event itself, not among its entries.
    EVENT_INGESTED = "event.ingested",
    EVENT_KIND = "event.kind",
    EVENT_MODULE = "event.module",
    /// The raw record; kept in the event itself, not among its entries.
    EVENT_ORIGINAL = "event.original",
    EVENT_OUTCOME = "event.outcome",
    EVENT_PROVIDER = "event.provider",
    EVENT_REASON = "event.reason",
    EVENT_SEQUENCE = "event.sequence",
    EVENT_SEVERITY = "event.severity",
    EVENT_START = "event.start",
    EVENT_TYPE = "event.type",
    EVENT_URL = "event.url",
    LOG_LEVEL = "log.level",
    LOG_SYSLOG_PRIORITY = "log.syslog.priority",
    LOG_SYSLOG_HOSTNAME = "log.syslog.hostname",
    LOG_SYSLOG_APPNAME = "log.syslog.appname",
    LOG_SYSLOG_PROCID = "log.syslog.procid",
    LOG_SYSLOG_MSGID = "log.syslog.msgid",
    ORGANIZATION_ID = "organization.id",
    ORGANIZATION_NAME = "organization.name",
    OBSERVER_VENDOR = "observer.vendor",
    OBSERVER_PRODUCT = "observer.product",
    OBSERVER_TYPE = "observer.type",
    OBSERVER_VERSION = "observer.version",
    AGENT_ID = "agent.id",
    AGENT_NAME = "agent.name",
    AGENT_TYPE = "agent.type",
    AGENT_VERSION = "agent.version",
    HOST_NAME = "host.name",
    HOST_HOSTNAME = "host.hostname",
    HOST_ID = "host.id",
    HOST_IP = "host.ip",
    HOST_MAC = "host.mac",
    HOST_DOMAIN = "host.domain",
    HOST_TYPE = "host.type",
    HOST_ARCHITECTURE = "host.architecture",
    HOST_OS_TYPE = "host.os.type",
    HOST_OS_FAMILY = "host.os.family",
    HOST_OS_NAME = "host.os.name",
    HOST_OS_FULL = "host.os.full",
    HOST_OS_PLATFORM = "host.os.platform",
    HOST_OS_VERSION = "host.os.version",
    DEVICE_ID = "device.id",
    DEVICE_MANUFACTURER = "device.manufacturer",
    DEVICE_MODEL_NAME = "device.model.name",
    DEVICE_MODEL_IDENTIFIER = "device.model.identifier",
    USER_NAME = "user.name",
    USER_ID = "user.id",
    USER_DOMAIN = "user.domain",
    USER_EMAIL = "user.email",
    USER_FULL_NAME = "user.full_name",
    USER_ROLES = "user.roles",
    USER_TARGET_NAME = "user.target.name",
    USER_TARGET_ID = "user.target.id",
    USER_TARGET_DOMAIN = "user.target.domain",
    USER_TARGET_EMAIL = "user.target.email",
    USER_TARGET_GROUP_NAME = "user.target.group.name",
    USER_CHANGES_NAME = "user.changes.name",
    USER_EFFECTIVE_NAME = "user.effective.name",
    /// `DOMAIN\name` in one piece, as Windows writes it and Sigma rules compare it.
    USER_FULL = "jacquemart.user.full",
    GROUP_NAME = "group.name",
    GROUP_ID = "group.id",
    GROUP_DOMAIN = "group.domain",
    PROCESS_EXECUTABLE = "process.executable",
    PROCESS_NAME = "process.name",
    PROCESS_TITLE = "process.title",
    PROCESS_PID = "process.pid",
    PROCESS_THREAD_ID = "process.thread.id",
    PROCESS_ENTITY_ID = "process.entity_id",
    PROCESS_COMMAND_LINE = "process.command_line",
    PROCESS_ARGS = "process.args",
    PROCESS_WORKING_DIRECTORY = "process.working_directory",
    PROCESS_START = "process.start",
    PROCESS_EXIT_CODE = "process.exit_code",
    PROCESS_INTEGRITY_LEVEL = "process.integrity_level",
    PROCESS_USER_NAME = "process.user.name",
    PROCESS_HASH_MD5 = "process.hash.md5",
    PROCESS_HASH_SHA1 = "process.hash.sha1",
    PROCESS_HASH_SHA256 = "process.hash.sha256",
    PROCESS_PE_IMPHASH = "process.pe.imphash",
    PROCESS_PE_ORIGINAL_FILE_NAME = "process.pe.original_file_name",
    PROCESS_PE_DESCRIPTION = "process.pe.description",
    PROCESS_PE_PRODUCT = "process.pe.product",
    PROCESS_PE_COMPANY = "process.pe.company",
    PROCESS_PE_FILE_VERSION = "process.pe.file_version",
    PROCESS_CODE_SIGNATURE_EXISTS = "process.code_signature.exists",
    PROCESS_CODE_SIGNATURE_SUBJECT_NAME = "process.code_signature.subject_name",
    PROCESS_CODE_SIGNATURE_STATUS = "process.code_signature.status",
    PROCESS_CODE_SIGNATURE_VALID = "process.code_signature.valid",
    PROCESS_PARENT_EXECUTABLE = "process.parent.executable",
    PROCESS_PARENT_NAME = "process.parent.name",
    PROCESS_PARENT_TITLE = "process.parent.title",
    PROCESS_PARENT_PID = "process.parent.pid",
    PROCESS_PARENT_ENTITY_ID = "process.parent.entity_id",
    PROCESS_PARENT_COMMAND_LINE = "process.parent.command_line",
    PROCESS_PARENT_WORKING_DIRECTORY = "process.parent.working_directory",
    PROCESS_PARENT_START = "process.parent.start",
    PROCESS_PARENT_USER_NAME = "process.parent.user.name",
    PROCESS_PARENT_HASH_MD5 = "process.parent.hash.md5",
    PROCESS_PARENT_HASH_SHA1 = "process.parent.hash.sha1",
    PROCESS_PARENT_HASH_SHA256 = "process.parent.hash.sha256",
    PROCESS_PARENT_INTEGRITY_LEVEL = "process.parent.integrity_level",
    PROCESS_PARENT_CODE_SIGNATURE_SUBJECT_NAME = "process.parent.code_signature.subject_name",
    PROCESS_PARENT_CODE_SIGNATURE_STATUS = "process.parent.code_signature.status",
    PROCESS_PARENT_PARENT_EXECUTABLE = "process.parent.parent.executable",
    FILE_PATH = "file.path",
    FILE_NAME = "file.name",
    FILE_EXTENSION = "file.extension",
    FILE_DIRECTORY = "file.directory",
    FILE_SIZE = "file.size",
    FILE_CREATED = "file.created",
    FILE_MTIME = "file.mtime",
    FILE_OWNER = "file.owner",
    FILE_TYPE = "file.type",
    FILE_HASH_MD5 = "file.hash.md5",
    FILE_HASH_SHA1 = "file.hash.sha1",
    FILE_HASH_SHA256 = "file.hash.sha256",
    FILE_PE_IMPHASH = "file.pe.imphash",
    FILE_EXT_ORIGINAL_PATH = "file.Ext.original.path",
    FILE_CODE_SIGNATURE_SUBJECT_NAME = "file.code_signature.subject_name",
    FILE_CODE_SIGNATURE_STATUS = "file.code_signature.status",
    DLL_PATH = "dll.path",
    DLL_NAME = "dll.name",
    DLL_HASH_MD5 = "dll.hash.md5",
    DLL_HASH_SHA1 = "dll.hash.sha1",
    DLL_HASH_SHA256 = "dll.hash.sha256",
    DLL_PE_IMPHASH = "dll.pe.imphash",
    DLL_PE_ORIGINAL_FILE_NAME = "dll.pe.original_file_name",
    DLL_PE_DESCRIPTION = "dll.pe.description",
    DLL_PE_PRODUCT = "dll.pe.product",
    DLL_PE_COMPANY = "dll.pe.company",
    DLL_PE_FILE_VERSION = "dll.pe.file_version",
    DLL_CODE_SIGNATURE_SUBJECT_NAME = "dll.code_signature.subject_name",
    DLL_CODE_SIGNATURE_STATUS = "dll.code_signature.status",
    REGISTRY_PATH = "registry.path",
    REGISTRY_HIVE = "registry.hive",
    REGISTRY_KEY = "registry.key",
    REGISTRY_VALUE = "registry.value",
    REGISTRY_DATA_STRINGS = "registry.data.strings",
    REGISTRY_DATA_TYPE = "registry.data.type",
    /// Sysmon's text form of a value, e.g. `DWORD (0x00000001)`, which Sigma rules compare.
    REGISTRY_DATA_DETAILS = "registry.data.details",
    SOURCE_IP = "source.ip",
    SOURCE_PORT = "source.port",
    SOURCE_ADDRESS = "source.address",
    SOURCE_DOMAIN = "source.domain",
    SOURCE_MAC = "source.mac",
    SOURCE_USER_NAME = "source.user.name",
    SOURCE_USER_DOMAIN = "source.user.domain",
    DESTINATION_IP = "destination.ip",
    DESTINATION_PORT = "destination.port",
    DESTINATION_ADDRESS = "destination.address",
    DESTINATION_DOMAIN = "destination.domain",
    DESTINATION_USER_NAME = "destination.user.name",
    CLIENT_IP = "client.ip",
    CLIENT_PORT = "client.port",
    SERVER_NAME = "server.name",
    NETWORK_TRANSPORT = "network.transport",
    NETWORK_PROTOCOL = "network.protocol",
    NETWORK_DIRECTION = "network.direction",
    NETWORK_TYPE = "network.type",
    NETWORK_NAME = "network.name",
    DNS_QUESTION_NAME = "dns.question.name",
    DNS_QUESTION_TYPE = "dns.question.type",
    DNS_RESPONSE_CODE = "dns.response_code",
    DNS_ANSWERS_DATA = "dns.answers.data",
    DNS_RESOLVED_IP = "dns.resolved_ip",
    DNS_TYPE = "dns.type",
    URL_ORIGINAL = "url.original",
    URL_FULL = "url.full",
    URL_DOMAIN = "url.domain",
    URL_PATH = "url.path",
    URL_SCHEME = "url.scheme",
    HTTP_REQUEST_METHOD = "http.request.method",
    USER_AGENT_ORIGINAL = "user_agent.original",
    EMAIL_FROM_ADDRESS = "email.from.address",
    EMAIL_TO_ADDRESS = "email.to.address",
    EMAIL_SUBJECT = "email.subject",
    PACKAGE_NAME = "package.name",
    PACKAGE_VERSION = "package.version",
    PACKAGE_CHECKSUM = "package.checksum",
    RULE_ID = "rule.id",
    RULE_NAME = "rule.name",
    RULE_CATEGORY = "rule.category",
    RULE_RULESET = "rule.ruleset",
    RULE_DESCRIPTION = "rule.description",
    SERVICE_NAME = "service.name",
    SERVICE_TYPE = "service.type",
    THREAT_FRAMEWORK = "threat.framework",
    THREAT_TACTIC_NAME = "threat.tactic.name",
    THREAT_TACTIC_ID = "threat.tactic.id",
    THREAT_TECHNIQUE_ID = "threat.technique.id",
    THREAT_TECHNIQUE_NAME = "threat.technique.name",
    THREAT_TECHNIQUE_REFERENCE = "threat.technique.reference",
    THREAT_INDICATOR_TYPE = "threat.indicator.type",
    THREAT_SOFTWARE_NAME = "threat.software.name",
    RELATED_IP = "related.ip",
    RELATED_HOSTS = "related.hosts",
    RELATED_USER = "related.user",
    RELATED_HASH = "related.hash",
    POWERSHELL_SCRIPT_BLOCK_TEXT = "powershell.file.script_block_text",
    POWERSHELL_SCRIPT_BLOCK_ID = "powershell.file.script_block_id",
    WINLOG_CHANNEL = "winlog.channel",
    WINLOG_PROVIDER_NAME = "winlog.provider_name",
    WINLOG_PROVIDER_GUID = "winlog.provider_guid",
    WINLOG_COMPUTER_NAME = "winlog.computer_name",
    WINLOG_EVENT_ID = "winlog.event_id",
    WINLOG_RECORD_ID = "winlog.record_id",
    WINLOG_LEVEL = "winlog.level",
    WINLOG_TASK = "winlog.task",
    WINLOG_OPCODE = "winlog.opcode",
    WINLOG_KEYWORDS = "winlog.keywords",
    WINLOG_VERSION = "winlog.version",
    WINLOG_ACTIVITY_ID = "winlog.activity_id",
    WINLOG_LOGON_ID = "winlog.logon.id",
    WINLOG_LOGON_TYPE = "winlog.logon.type",
    WINLOG_PROCESS_PID = "winlog.process.pid",
    WINLOG_PROCESS_THREAD_ID = "winlog.process.thread.id",
    WINLOG_USER_IDENTIFIER = "winlog.user.identifier",
    WINLOG_USER_NAME = "winlog.user.name",
    WINLOG_USER_DOMAIN = "winlog.user.domain",
    MTD_THREAT_STATUS = "mtd.threat.status",
    MTD_THREAT_LEVEL = "mtd.threat.level",
    MTD_STATUS_NAME = "mtd.status.name",
    MTD_STATUS_VALUE = "mtd.status.value",
    MTD_APP_PACKAGE = "mtd.app.package",
    MTD_APP_PERMISSION = "mtd.app.permission",
    MTD_DEVICE_SECURITY_PATCH = "mtd.device.security_patch",
    MTD_DEVICE_BYOD = "mtd.device.byod",
    MTD_COMPLIANCE_STATUS = "mtd.compliance.status",
    FILE_CODE_SIGNATURE_EXISTS = "file.code_signature.exists",
    DLL_CODE_SIGNATURE_EXISTS = "dll.code_signature.exists",
    PROCESS_PARENT_CODE_SIGNATURE_EXISTS = "process.parent.code_signature.exists",
    PROCESS_USER_ID = "process.user.id",
    PROCESS_REAL_USER_NAME = "process.real_user.name",
    PROCESS_REAL_USER_ID = "process.real_user.id",
    PROCESS_PARENT_USER_ID = "process.parent.user.id",
    PROCESS_PARENT_REAL_USER_NAME = "process.parent.real_user.name",
    PROCESS_PARENT_REAL_USER_ID = "process.parent.real_user.id",
    DNS_ANSWERS_TYPE = "dns.answers.type",
    REGISTRY_DATA_BYTES = "registry.data.bytes",
    CONTAINER_ID = "container.id",
    CONTAINER_NAME = "container.name",
    CONTAINER_IMAGE_NAME = "container.image.name",
    CLOUD_INSTANCE_ID = "cloud.instance.id",
    ORCHESTRATOR_TYPE = "orchestrator.type",
    THREAT_INDICATOR_CONFIDENCE = "threat.indicator.confidence",
    THREAT_SOFTWARE_TYPE = "threat.software.type",
    WINLOG_RELATED_ACTIVITY_ID = "winlog.related_activity_id",
    WINLOG_TIME_CREATED = "winlog.time_created",
    WINLOG_USER_TYPE = "winlog.user.type",
    /// What Microsoft's documentation calls the event.
    WINLOG_EVENT_TITLE = "winlog.event_title",
    /// The same bytes as `message`, in the vendor's namespace.
    WINLOG_MESSAGE = "winlog.message",
    WINLOG_LOGON_FAILURE_SUB_STATUS = "winlog.logon.failure.sub_status",
    WINLOG_EVENT_DATA_DATA = "winlog.event_data.Data",
    WINLOG_EVENT_DATA_EVENT_TYPE = "winlog.event_data.EventType",
    WINLOG_EVENT_DATA_NEW_VALUE = "winlog.event_data.NewValue",
    WINLOG_EVENT_DATA_NEW_VALUE_TYPE = "winlog.event_data.NewValueType",
    WINLOG_EVENT_DATA_OBJECT_NAME = "winlog.event_data.ObjectName",
    WINLOG_EVENT_DATA_OBJECT_TYPE = "winlog.event_data.ObjectType",
    WINLOG_EVENT_DATA_OBJECT_VALUE_NAME = "winlog.event_data.ObjectValueName",
    WINLOG_EVENT_DATA_PARAM1 = "winlog.event_data.param1",
    WINLOG_EVENT_DATA_PARAM2 = "winlog.event_data.param2",
    WINLOG_EVENT_DATA_PARAM3 = "winlog.event_data.param3",
    WINLOG_EVENT_DATA_STATUS = "winlog.event_data.Status",
    WINLOG_EVENT_DATA_SUBJECT_DOMAIN_NAME = "winlog.event_data.SubjectDomainName",
    WINLOG_EVENT_DATA_SUBJECT_USER_NAME = "winlog.event_data.SubjectUserName",
    WINLOG_EVENT_DATA_SUBJECT_USER_SID = "winlog.event_data.SubjectUserSid",
    USER_EFFECTIVE_DOMAIN = "user.effective.domain",
    PROCESS_USER_DOMAIN = "process.user.domain",
    THREAT_ENRICHMENTS_MATCHED_OCCURRED = "threat.enrichments.matched.occurred",
    THREAT_INDICATOR_FILE_CREATED = "threat.indicator.file.created",
    THREAT_INDICATOR_FILE_SIZE = "threat.indicator.file.size",
    THREAT_INDICATOR_FILE_CODE_SIGNATURE_SIGNING_ID = "threat.indicator.file.code_signature.signing_id",
    SENTINELONE_THREAT_CONFIDENCE_LEVEL = "sentinelone.threat.confidence_level",
    SENTINELONE_THREAT_MITIGATION_STATUS = "sentinelone.threat.mitigation_status",
    SENTINELONE_THREAT_ANALYST_VERDICT = "sentinelone.threat.analyst_verdict",
    /// What a relay left before the record proper.
    LOG_PREAMBLE = "log.preamble",
}

#[cfg(test)]
mod tests;
