//! Vendors' modules and the log sources that their records belong to.
//!
//! Modules and datasets are those that formats write to `event.module` and `event.dataset`;
//! other spellings that are usual for the same (those of Elastic's integrations) are taken
//! too, so that a format declared by a commune meets the same rules.

/// What the content of an event may add to its categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Traffic that a firewall let through or not.
    Firewall,
    /// A request for a URL seen on its way.
    Proxy,
    /// A request seen by the server that answered it.
    Webserver,
    Dns,
    Antivirus,
    Email,
    Authentication,
    IntrusionDetection,
    /// Sigma's generic network log sources.
    Network,
    /// What a process did on a machine: the product is its operating system.
    Endpoint,
}

/// A vendor's records.
pub(crate) struct Vendor {
    /// Values of `event.module`.
    pub(crate) modules: &'static [&'static str],
    pub(crate) products: &'static [&'static str],
    /// Services that all its records have.
    pub(crate) services: &'static [&'static str],
    /// Services by the kind of record: the part of `event.dataset` behind its first dot (or all
    /// of it where it has none).
    pub(crate) datasets: &'static [(&'static str, &'static [&'static str])],
    pub(crate) kinds: &'static [Kind],
    /// Whether a format that is built in writes them; the others wait for a declared one.
    pub(crate) is_builtin: bool,
}

use Kind::{
    Antivirus, Authentication, Dns, Email, Endpoint, Firewall, IntrusionDetection, Network, Proxy,
    Webserver,
};

/// What a firewall that inspects traffic writes.
const GATEWAY: &[Kind] = &[Firewall, Proxy, Dns, Antivirus, Authentication, IntrusionDetection];

/// Alerts of the compliance centre; SigmaHQ files its rules on them under all three.
const COMPLIANCE: &[&str] = &["audit", "exchange", "threat_management", "threat_detection"];

/// Services of a record of the unified audit log by its workload, which `event.provider` names.
pub(crate) const WORKLOADS: &[(&str, &[&str])] =
    &[("Exchange", &["audit", "exchange"]), ("SecurityComplianceCenter", COMPLIANCE)];

pub(crate) const VENDORS: &[Vendor] = &[
    Vendor {
        modules: &["fortinet", "fortigate", "fortinet_fortigate", "fortios"],
        products: &["fortigate", "fortios"],
        services: &[],
        datasets: &[
            ("event", &["event"]),
            ("traffic", &["traffic"]),
            ("utm", &["utm"]),
            ("vpn", &["event", "vpn", "sslvpnd"]),
            ("event:vpn", &["event", "vpn", "sslvpnd"]),
        ],
        kinds: GATEWAY,
        is_builtin: true,
    },
    Vendor {
        modules: &["stormshield"],
        products: &["stormshield"],
        services: &[],
        datasets: &[
            ("connection", &["connection", "traffic"]),
            ("filter", &["traffic"]),
            ("alarm", &["alert"]),
            ("vpn", &["vpn"]),
            ("xvpn", &["vpn"]),
            ("auth", &["auth"]),
            ("system", &["system"]),
            ("web", &["http"]),
        ],
        kinds: GATEWAY,
        is_builtin: true,
    },
    Vendor {
        // The last are records of PAN-OS about its cloud, under the cloud's name.
        modules: &["paloalto", "panw", "palo_alto", "WildFire"],
        products: &["paloalto"],
        services: &[],
        datasets: &[
            ("traffic", &["traffic"]),
            ("threat", &["threat"]),
            ("globalprotect", &["globalprotect"]),
            ("system", &["system"]),
        ],
        kinds: GATEWAY,
        is_builtin: true,
    },
    Vendor {
        modules: &["cisco", "cisco_ftd", "cisco_asa", "cisco_ios", "cisco_secure_firewall"],
        products: &["cisco"],
        services: &["syslog"],
        datasets: &[("aaa", &["aaa"]), ("bgp", &["bgp"]), ("ldp", &["ldp"]), ("duo", &["duo"])],
        kinds: GATEWAY,
        is_builtin: true,
    },
    Vendor {
        modules: &["checkpoint", "check_point"],
        products: &["checkpoint"],
        services: &[],
        datasets: &[],
        kinds: GATEWAY,
        is_builtin: true,
    },
    Vendor {
        modules: &["suricata"],
        products: &["suricata"],
        services: &[],
        datasets: &[
            ("alert", &["alert"]),
            ("dns", &["dns"]),
            ("http", &["http"]),
            ("tls", &["tls"]),
            ("flow", &["flow", "connection"]),
        ],
        kinds: &[Proxy, Dns, IntrusionDetection, Network],
        is_builtin: true,
    },
    Vendor {
        modules: &["zeek"],
        products: &["zeek"],
        services: &[],
        datasets: &[
            ("dns", &["dns"]),
            ("http", &["http"]),
            ("conn", &["connection"]),
            ("connection", &["connection"]),
            ("dce_rpc", &["dce_rpc"]),
            ("kerberos", &["kerberos"]),
            ("rdp", &["rdp"]),
            ("smb_files", &["smb_files"]),
            ("x509", &["x509"]),
        ],
        kinds: &[Proxy, Dns, Network],
        is_builtin: false,
    },
    Vendor {
        modules: &["vade", "vadesecure", "vadecloud", "vade_secure", "vade_cloud"],
        products: &["vade"],
        services: &[],
        datasets: &[
            ("m365", &["m365"]),
            ("email", &["m365"]),
            ("cloud", &["cloud"]),
            ("remediation", &["m365", "remediation"]),
        ],
        kinds: &[Email, Antivirus],
        is_builtin: true,
    },
    Vendor {
        modules: &["azure", "entra", "entraid", "entra_id", "azuread"],
        products: &["azure"],
        services: &[],
        datasets: &[
            ("signinlogs", &["signinlogs"]),
            ("auditlogs", &["auditlogs"]),
            ("activitylogs", &["activitylogs"]),
            ("riskdetection", &["riskdetection"]),
            ("identity_protection", &["riskdetection"]),
            ("pim", &["pim"]),
            ("graphactivitylogs", &[]),
            // Graph's own audit names no log but what was done.
            ("*", &["auditlogs"]),
        ],
        kinds: &[Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["o365", "m365", "office365", "office_365"],
        products: &["m365"],
        services: &[],
        datasets: &[
            ("audit", &["audit"]),
            ("exchange", &["audit", "exchange"]),
            // Alerts of the compliance centre; SigmaHQ files its rules on them under all three.
            ("threat_management", &["audit", "exchange", "threat_management", "threat_detection"]),
            ("message_trace", &["message_trace"]),
        ],
        kinds: &[Authentication, Email],
        is_builtin: true,
    },
    // What the centre says of itself.
    Vendor {
        modules: &["jacquemart"],
        products: &["jacquemart"],
        services: &[],
        datasets: &[],
        kinds: &[],
        is_builtin: true,
    },
    Vendor {
        modules: &["okta"],
        products: &["okta"],
        services: &["okta"],
        datasets: &[],
        kinds: &[Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["intune", "microsoft_intune"],
        products: &["intune"],
        services: &[],
        datasets: &[("auditlogs", &["auditlogs"]), ("audit", &["auditlogs"])],
        kinds: &[],
        is_builtin: true,
    },
    Vendor {
        modules: &["harfanglab"],
        products: &["harfanglab"],
        services: &[],
        datasets: &[("alert", &["alert"]), ("threat", &["threats"])],
        kinds: &[Endpoint, Antivirus, Authentication, IntrusionDetection],
        is_builtin: true,
    },
    Vendor {
        modules: &[
            "m365_defender",
            "microsoft_defender",
            "microsoft_365_defender",
            "microsoft365defender",
            "defender",
        ],
        products: &["m365_defender"],
        services: &[],
        datasets: &[("alert", &["alert"]), ("alert_evidence", &["alert"])],
        kinds: &[Endpoint, Antivirus, Authentication, Email],
        is_builtin: true,
    },
    Vendor {
        modules: &["sekoia", "sekoiaio", "endpoint", "auditbeat"],
        products: &[],
        services: &[],
        datasets: &[],
        kinds: &[Endpoint, Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["auditd", "auditd_manager"],
        products: &["linux"],
        services: &["auditd"],
        datasets: &[],
        kinds: &[Endpoint, Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["openssh", "sshd"],
        products: &["linux"],
        services: &["sshd", "auth", "syslog"],
        datasets: &[],
        kinds: &[Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["linux", "system", "syslog"],
        products: &["linux"],
        services: &["syslog"],
        datasets: &[("auth", &["auth"])],
        kinds: &[Authentication],
        is_builtin: true,
    },
    Vendor {
        modules: &["apache"],
        products: &["apache"],
        services: &["apache"],
        datasets: &[("access", &["access"]), ("error", &["error"])],
        kinds: &[Webserver],
        is_builtin: false,
    },
    Vendor {
        modules: &["nginx"],
        products: &["nginx"],
        services: &["nginx"],
        datasets: &[("access", &["access"]), ("error", &["error"])],
        kinds: &[Webserver],
        is_builtin: false,
    },
    Vendor {
        modules: &["modsecurity"],
        products: &["modsecurity"],
        services: &[],
        datasets: &[],
        kinds: &[Webserver],
        is_builtin: false,
    },
    Vendor {
        modules: &["squid"],
        products: &["squid"],
        services: &[],
        datasets: &[],
        kinds: &[Proxy],
        is_builtin: false,
    },
];

/// Services of a Linux machine by the program that wrote the line.
pub(crate) const PROGRAMS: &[(&str, &[&str])] = &[
    ("sshd", &["sshd", "auth", "syslog"]),
    ("sshd-session", &["sshd", "auth", "syslog"]),
    ("sudo", &["sudo", "auth", "syslog"]),
    ("su", &["auth", "syslog"]),
    ("login", &["auth", "syslog"]),
    ("systemd-logind", &["auth", "syslog"]),
    ("useradd", &["auth", "syslog"]),
    ("userdel", &["auth", "syslog"]),
    ("usermod", &["auth", "syslog"]),
    ("groupadd", &["auth", "syslog"]),
    ("passwd", &["auth", "syslog"]),
    ("cron", &["cron", "syslog"]),
    ("crond", &["cron", "syslog"]),
    ("crontab", &["cron", "syslog"]),
    ("clamd", &["clamav", "syslog"]),
    ("clamav", &["clamav", "syslog"]),
    ("freshclam", &["clamav", "syslog"]),
    ("vsftpd", &["vsftpd", "syslog"]),
    ("guacd", &["guacamole", "syslog"]),
    ("guacamole", &["guacamole", "syslog"]),
];

/// Vendors of phone defence: `event.module` and Sigma's product.
pub(crate) const PHONES: &[(&str, &str)] = &[
    ("pradeo", "pradeo"),
    ("lookout", "lookout"),
    ("harmony_mobile", "harmony_mobile"),
    ("checkpoint_harmony_mobile", "harmony_mobile"),
    ("harmony", "harmony_mobile"),
    ("checkpoint", "harmony_mobile"),
];

/// Categories of what a process did, by ECS category and type; the first that fits an event.
pub(crate) const ENDPOINT: &[(&str, &str, &[&str])] = &[
    ("process", "start", &["process_creation"]),
    ("process", "end", &["process_termination"]),
    ("process", "access", &["process_access"]),
    ("file", "creation", &["file_event"]),
    ("file", "deletion", &["file_delete"]),
    ("file", "access", &["file_access"]),
    ("file", "change", &["file_change"]),
    ("registry", "creation", &["registry_event", "registry_add", "registry_set"]),
    ("registry", "deletion", &["registry_event", "registry_delete"]),
    ("registry", "change", &["registry_event", "registry_set"]),
    ("library", "", &["image_load"]),
    ("driver", "", &["driver_load"]),
];
