//! Sigma's field names on networks, in mail and in clouds.
//!
//! Names are those of the W3C's extended log format (proxies and web servers), of Zeek and of
//! the vendors, as Sigma's taxonomy appendix and SigmaHQ's rules spell them, which is not always
//! one way; targets are ECS fields.

use crate::{logsource::Logsource, taxonomy_tables::Names};

pub(crate) const PROXY: Names = &[
    ("c-uri", &["url.original", "url.full"]),
    ("cs-uri", &["url.original", "url.full"]),
    ("c-uri-query", &["url.query"]),
    ("cs-uri-query", &["url.query"]),
    ("c-uri-stem", &["url.path"]),
    ("cs-uri-stem", &["url.path"]),
    ("c-uri-path", &["url.path"]),
    ("c-uri-extension", &["url.extension"]),
    ("c-useragent", &["user_agent.original"]),
    ("cs-user-agent", &["user_agent.original"]),
    ("cs-method", &["http.request.method"]),
    ("cs-host", &["url.domain", "destination.domain"]),
    ("r-dns", &["destination.domain", "url.domain"]),
    ("cs-cookie", &["http.request.headers.cookie"]),
    ("cs-referrer", &["http.request.referrer"]),
    ("cs-referer", &["http.request.referrer"]),
    ("cs-version", &["http.version"]),
    ("cs-username", &["user.name", "source.user.name"]),
    ("cs-content-type", &["http.request.mime_type"]),
    ("cs-bytes", &["http.request.bytes", "source.bytes"]),
    ("sc-bytes", &["http.response.bytes", "destination.bytes"]),
    ("sc-status", &["http.response.status_code"]),
    ("c-ip", &["source.ip", "client.ip"]),
    ("src_ip", &["source.ip"]),
    ("dst_ip", &["destination.ip"]),
    ("dst_port", &["destination.port"]),
];

pub(crate) const WEBSERVER: Names = &[
    ("cs-uri-query", &["url.query", "url.original"]),
    ("c-uri-query", &["url.query", "url.original"]),
    ("cs-uri-stem", &["url.path", "url.original"]),
    ("cs-uri", &["url.original", "url.full"]),
    ("c-uri", &["url.original", "url.full"]),
    ("cs-method", &["http.request.method"]),
    ("sc-status", &["http.response.status_code"]),
    ("cs-user-agent", &["user_agent.original"]),
    ("c-useragent", &["user_agent.original"]),
    ("cs-referer", &["http.request.referrer"]),
    ("cs-referrer", &["http.request.referrer"]),
    ("cs-username", &["user.name", "source.user.name"]),
    ("cs-host", &["url.domain", "destination.domain"]),
    ("cs-content-type", &["http.request.mime_type"]),
    ("cs-cookie", &["http.request.headers.cookie"]),
    ("cs-version", &["http.version"]),
    ("cs-bytes", &["http.request.bytes", "source.bytes"]),
    ("sc-bytes", &["http.response.bytes", "destination.bytes"]),
    ("c-ip", &["source.ip", "client.ip"]),
    ("s-ip", &["destination.ip", "server.ip"]),
    ("s-port", &["destination.port", "server.port"]),
    ("s-computername", &["host.name"]),
];

pub(crate) const FIREWALL: Names = &[
    ("action", &["event.action"]),
    ("blocked", &["event.type", "event.action"]),
    ("src_ip", &["source.ip"]),
    ("src_port", &["source.port"]),
    ("dst_ip", &["destination.ip"]),
    ("dst_port", &["destination.port"]),
    ("protocol", &["network.transport"]),
    ("username", &["user.name", "source.user.name"]),
];

/// Zeek's own names; those of HTTP and DNS that rules for any proxy use too.
const ZEEK: Names = &[
    ("id.orig_h", &["source.ip"]),
    ("id.orig_p", &["source.port"]),
    ("id.resp_h", &["destination.ip"]),
    ("id.resp_p", &["destination.port"]),
    ("query", &["dns.question.name"]),
    ("answers", &["dns.answers.data"]),
    ("qtype_name", &["dns.question.type"]),
    ("uri", &["url.original"]),
    ("c-uri", &["url.original"]),
    ("method", &["http.request.method"]),
    ("user_agent", &["user_agent.original"]),
    ("c-useragent", &["user_agent.original"]),
    ("host", &["url.domain"]),
    ("status_code", &["http.response.status_code"]),
    ("request_body_len", &["http.request.body.bytes"]),
    ("resp_mime_types", &["http.response.mime_type"]),
    ("name", &["file.name"]),
    ("path", &["file.path"]),
];

/// Records of Linux's audit daemon, under the names that it writes.
const AUDITD: Names = &[
    ("type", &["auditd.log.record_type"]),
    ("SYSCALL", &["auditd.data.syscall", "auditd.log.syscall"]),
    ("exe", &["process.executable"]),
    ("comm", &["process.name"]),
    ("key", &["tags"]),
    ("name", &["file.path"]),
    ("unit", &["service.name"]),
    ("euid", &["user.effective.id"]),
    ("uid", &["user.id"]),
    ("auid", &["user.audit.id"]),
    ("pid", &["process.pid"]),
    ("ppid", &["process.parent.pid"]),
    ("cwd", &["process.working_directory"]),
];

const SUDO: Names = &[("USER", &["user.target.name", "user.effective.name"])];

const FORTIGATE: Names = &[
    ("srcip", &["source.ip"]),
    ("srcport", &["source.port"]),
    ("dstip", &["destination.ip"]),
    ("dstport", &["destination.port"]),
    ("user", &["user.name", "source.user.name"]),
    ("hostname", &["url.domain", "destination.domain"]),
    ("url", &["url.original", "url.path"]),
];

const AZURE_SIGN_IN: Names = &[
    ("ResultType", &["azure.signinlogs.properties.status.error_code", "event.code"]),
    ("resultType", &["azure.signinlogs.properties.status.error_code", "event.code"]),
    ("ResultDescription", &["azure.signinlogs.result_description", "event.reason"]),
    ("Resultdescription", &["azure.signinlogs.result_description", "event.reason"]),
    ("Status", &["event.outcome", "azure.signinlogs.result_description"]),
    ("userAgent", &["user_agent.original"]),
    ("location", &["source.geo.country_iso_code"]),
    ("Location", &["source.geo.country_iso_code"]),
    ("Username", &["user.email", "user.name"]),
    ("UserPrincipalName", &["user.email", "user.name"]),
    ("userPrincipalName", &["user.email", "user.name"]),
    ("callerIpAddress", &["source.ip"]),
    ("CallerIPAddress", &["source.ip"]),
    ("IPAddress", &["source.ip"]),
    ("ipAddress", &["source.ip"]),
    (
        "ClientApp",
        &["azure.signinlogs.properties.client_app_used", "azure.properties.clientAppUsed"],
    ),
    ("properties.message", &["event.action", "message"]),
    ("RiskState", &["azure.signinlogs.properties.risk_state", "azure.properties.riskState"]),
];

const AZURE_AUDIT: Names = &[
    ("properties.message", &["event.action", "message"]),
    ("operationName", &["event.action"]),
    ("OperationName", &["event.action"]),
    ("OperationNameValue", &["event.action"]),
    ("ActivityDisplayName", &["event.action"]),
    ("activityDisplayName", &["event.action"]),
    ("Status", &["event.outcome"]),
    ("properties.result", &["event.outcome"]),
    ("ResourceId", &["cloud.resource.id"]),
    ("Initiatedby", &["user.email", "user.name"]),
    ("InitiatedBy", &["user.email", "user.name"]),
    ("Target", &["user.target.email", "user.target.name", "group.name"]),
];

const AZURE_RISK: Names =
    &[("riskEventType", &["azure.identity_protection.properties.risk_event_type", "event.action"])];

const M365: Names = &[
    ("Operation", &["event.action"]),
    ("eventName", &["event.action", "rule.name"]),
    ("eventSource", &["event.provider"]),
    ("status", &["event.outcome"]),
    ("Workload", &["event.provider"]),
    ("ResultStatus", &["event.outcome"]),
    ("UserId", &["user.email", "user.name", "user.id"]),
    ("ClientIP", &["source.ip", "client.ip"]),
    ("ClientIPAddress", &["source.ip", "client.ip"]),
    ("UserAgent", &["user_agent.original"]),
    ("Directionality", &["email.direction"]),
];

const OKTA: Names = &[
    ("eventType", &["event.action"]),
    ("eventtype", &["event.action"]),
    ("displayMessage", &["event.reason", "message"]),
    ("displaymessage", &["event.reason", "message"]),
    ("outcome.result", &["event.outcome"]),
    ("outcome.reason", &["event.reason"]),
    ("actor.alternateId", &["user.email", "user.name"]),
    ("actor.alternateid", &["user.email", "user.name"]),
    ("client.ipAddress", &["source.ip", "client.ip"]),
    ("client.user.agent.raw", &["user_agent.original"]),
    ("severity", &["log.level"]),
];

const CLOUDTRAIL: Names = &[
    ("eventName", &["event.action"]),
    ("eventSource", &["event.provider"]),
    ("userAgent", &["user_agent.original"]),
    ("sourceIPAddress", &["source.ip", "source.address"]),
    ("status", &["event.outcome"]),
];

/// Mail; there is no such log source in Sigma's own taxonomy.
const MAIL: Names = &[
    ("Sender", &["email.from.address", "email.sender.address"]),
    ("FromHeader", &["email.from.address"]),
    ("ReplyTo", &["email.reply_to.address"]),
    ("Recipient", &["email.to.address"]),
    ("Subject", &["email.subject"]),
    ("MessageId", &["email.message_id"]),
    ("Direction", &["email.direction"]),
    ("SenderIp", &["source.ip"]),
    ("AttachmentName", &["email.attachments.file.name"]),
    ("AttachmentExt", &["email.attachments.file.extension"]),
    ("AttachmentSha256", &["email.attachments.file.hash.sha256"]),
    ("AttachmentMd5", &["email.attachments.file.hash.md5"]),
    ("Url", &["url.original", "url.full"]),
    ("Action", &["event.action"]),
    ("ThreatName", &["rule.name", "threat.software.name"]),
    ("Outcome", &["event.outcome"]),
];

/// Mail under the names of Vade's records.
const VADE: Names = &[
    ("FromHeader", &["vade.from_header"]),
    ("Url", &["vade.urls"]),
    ("Verdict", &["vade.status", "rule.category"]),
    ("Overdict", &["vade.overdict"]),
    ("Whitelisted", &["vade.whitelisted"]),
    ("Spf", &["vade.auth.spf"]),
    ("Dkim", &["vade.auth.dkim"]),
    ("Dmarc", &["vade.auth.dmarc"]),
    ("RemediatedRead", &["vade.campaign.nb_messages_remediated_read"]),
    ("RemediatedUnread", &["vade.campaign.nb_messages_remediated_unread"]),
];

/// Who signed in, wherever; there is no such log source in Sigma's own taxonomy.
const AUTHENTICATION: Names = &[
    ("User", &["user.name", "user.email"]),
    ("SourceIp", &["source.ip"]),
    ("Outcome", &["event.outcome"]),
    ("Action", &["event.action"]),
    ("Reason", &["event.reason"]),
    ("UserAgent", &["user_agent.original"]),
    ("Application", &["service.name"]),
    ("Country", &["source.geo.country_iso_code"]),
];

const INTRUSION: Names = &[
    ("Signature", &["rule.name"]),
    ("SignatureId", &["rule.id"]),
    ("Class", &["rule.category"]),
    ("Severity", &["event.severity"]),
    ("Action", &["event.action"]),
    ("SourceIp", &["source.ip"]),
    ("SourcePort", &["source.port"]),
    ("DestinationIp", &["destination.ip"]),
    ("DestinationPort", &["destination.port"]),
];

/// The tables that a log source outside the endpoint adds, the nearer first.
pub(crate) fn of(logsource: &Logsource) -> Vec<Names> {
    let service = logsource.service.as_deref();
    let mut tables: Vec<Names> = match (logsource.product.as_deref(), service) {
        (Some("linux"), Some("auditd")) => vec![AUDITD],
        (Some("linux"), _) if logsource.category.is_none() => vec![SUDO],
        (Some("fortigate" | "fortios"), _) => vec![FORTIGATE, FIREWALL],
        (Some("stormshield" | "paloalto" | "cisco" | "checkpoint"), _) => vec![FIREWALL, PROXY],
        (Some("zeek"), _) => vec![ZEEK, FIREWALL],
        (Some("suricata"), _) => vec![INTRUSION, ZEEK, FIREWALL],
        (Some("azure"), Some("signinlogs")) => vec![AZURE_SIGN_IN],
        (Some("azure"), Some("riskdetection" | "pim")) => vec![AZURE_RISK, AZURE_AUDIT],
        (Some("azure"), _) => vec![AZURE_AUDIT, AZURE_SIGN_IN],
        (Some("m365"), _) => vec![M365, MAIL],
        (Some("okta"), _) => vec![OKTA],
        (Some("aws"), _) => vec![CLOUDTRAIL],
        (Some("vade"), _) => vec![VADE, MAIL],
        (Some("apache" | "nginx" | "modsecurity"), _) => vec![WEBSERVER],
        (Some("squid"), _) => vec![PROXY],
        (None, Some("apache" | "nginx")) => vec![WEBSERVER],
        (None, Some("netflow")) => vec![FIREWALL],
        _ => Vec::new(),
    };
    tables.extend(match logsource.category.as_deref() {
        Some("proxy") => Some(PROXY),
        Some("webserver") => Some(WEBSERVER),
        Some("firewall") => Some(FIREWALL),
        Some("email") => Some(MAIL),
        Some("authentication") => Some(AUTHENTICATION),
        Some("intrusion_detection") => Some(INTRUSION),
        _ => None,
    });
    tables
}

/// The namespaces in which formats keep a product's own fields.
pub(crate) fn namespaces(product: &str) -> &'static [&'static str] {
    match product {
        "fortigate" | "fortios" => &["fortinet.fortigate"],
        "paloalto" => &["paloalto"],
        "azure" => &[
            "azure",
            "azure.properties",
            "azure.signinlogs.properties",
            "azure.auditlogs.properties",
        ],
        "m365" => &["o365.audit"],
        "okta" => &["okta"],
        "aws" => &["aws.cloudtrail"],
        "vade" => &["vade"],
        "m365_defender" => &["m365_defender", "m365_defender.properties"],
        "linux" => &["auditd.data", "auditd.log"],
        _ => &[],
    }
}

/// Whether the product's rules spell its fields in several ways, so that `ResultType` is to find
/// `resultType` and `result_type` too.
pub(crate) fn spells_freely(product: &str) -> bool {
    matches!(product, "azure" | "okta" | "aws" | "m365")
}

/// Categories that no endpoint's telemetry has, whose events know nothing of `winlog`.
pub(crate) fn is_off_endpoint(category: &str) -> bool {
    matches!(
        category,
        "proxy"
            | "webserver"
            | "firewall"
            | "network"
            | "email"
            | "authentication"
            | "intrusion_detection"
            | "application"
            | "database"
            | "appliance"
            | "dns"
    ) || category.starts_with("mobile_")
}
