//! The Security channel, after Microsoft's audit events and Elastic's ECS mapping.
//!
//! `user` is who acts (`Subject…`) and `user.target` who is acted upon (`Target…`); in logons
//! and Kerberos requests the account that logs on acts, so it is `user` too.

use event::fields as f;

use super::{
    objects::{object, registry},
    rule::Rule,
    values,
};
use crate::formats::{
    mapping::{Op::*, Table},
    sheet::Sheet,
};

/// What many events have.
pub(super) const COMMON: Table = &[
    ("SubjectUserSid", &[Sid(f::USER_ID)]),
    ("SubjectUserName", &[Text(f::USER_NAME)]),
    ("SubjectDomainName", &[Text(f::USER_DOMAIN)]),
    ("SubjectLogonId", &[Text(f::WINLOG_LOGON_ID)]),
    ("TargetUserSid", &[Text(f::USER_TARGET_ID)]),
    ("TargetSid", &[Text(f::USER_TARGET_ID)]),
    ("TargetUserName", &[Text(f::USER_TARGET_NAME)]),
    ("TargetDomainName", &[Text(f::USER_TARGET_DOMAIN)]),
    ("ProcessId", &[Pid(f::PROCESS_PID)]),
    ("ProcessID", &[Pid(f::PROCESS_PID)]),
    ("ProcessName", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("ServiceName", &[Text(f::SERVICE_NAME)]),
    ("IpAddress", &[Ip(f::SOURCE_IP)]),
    ("IpPort", &[Port(f::SOURCE_PORT)]),
    ("ClientAddress", &[Ip(f::SOURCE_IP)]),
    ("WorkstationName", &[Text(f::SOURCE_DOMAIN)]),
    ("Workstation", &[Text(f::SOURCE_DOMAIN)]),
    ("LogonType", &[With(values::logon_type)]),
    ("AccountName", &[Text(f::USER_NAME)]),
    ("AccountDomain", &[Text(f::USER_DOMAIN)]),
];

/// The account that logs on, or asks for a ticket, is who acts.
const LOGON: Table = &[
    ("TargetUserSid", &[Text(f::USER_TARGET_ID), Sid(f::USER_ID)]),
    ("TargetSid", &[Text(f::USER_TARGET_ID), Sid(f::USER_ID)]),
    ("TargetUserName", &[Text(f::USER_TARGET_NAME), With(user_name)]),
    ("TargetDomainName", &[Text(f::USER_TARGET_DOMAIN), Text(f::USER_DOMAIN)]),
    ("TargetLogonId", &[Text(f::WINLOG_LOGON_ID)]),
    // Who only hands the logon on; its account is looked at when the other is missing.
    ("SubjectUserSid", &[]),
    ("SubjectUserName", &[]),
    ("SubjectDomainName", &[]),
    ("SubjectLogonId", &[]),
    ("FailureReason", &[With(values::failure_reason)]),
    ("SubStatus", &[With(values::logon_failure)]),
    // 4776 calls it `Workstation`, 4768 and its kin have addresses only.
    ("Workstation", &[Text(f::SOURCE_DOMAIN)]),
    ("ClientName", &[Text(f::SOURCE_DOMAIN)]),
];

/// `name@REALM` of Kerberos is the name.
fn user_name(sheet: &mut Sheet, name: &str) {
    sheet.put(f::USER_NAME, name.split('@').next().unwrap_or(name));
}

/// The account whose credentials are used.
const EXPLICIT: Table = &[
    ("TargetUserName", &[Text(f::USER_TARGET_NAME), Text(f::USER_EFFECTIVE_NAME)]),
    ("TargetDomainName", &[Text(f::USER_TARGET_DOMAIN), Text(f::USER_EFFECTIVE_DOMAIN)]),
    ("TargetServerName", &[With(target_server)]),
];

/// Explicit credentials are often used on the host itself.
fn target_server(sheet: &mut Sheet, name: &str) {
    if !name.eq_ignore_ascii_case("localhost") {
        sheet.put(f::DESTINATION_DOMAIN, name);
    }
}

const PROCESS: Table = &[
    ("NewProcessId", &[Pid(f::PROCESS_PID)]),
    ("NewProcessName", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("CommandLine", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("MandatoryLabel", &[With(integrity)]),
    // The field keeps its old name: it is the creator's id.
    ("ProcessId", &[Pid(f::PROCESS_PARENT_PID)]),
    (
        "ParentProcessName",
        &[Path { path: f::PROCESS_PARENT_EXECUTABLE, name: f::PROCESS_PARENT_NAME }],
    ),
];

const SERVICE: Table = &[
    ("ServiceFileName", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("ServiceType", &[Text(f::SERVICE_TYPE)]),
    ("ClientProcessId", &[Pid(f::PROCESS_PID)]),
    ("ParentProcessId", &[Pid(f::PROCESS_PARENT_PID)]),
];

const TASK: Table = &[
    ("ClientProcessId", &[Pid(f::PROCESS_PID)]),
    ("ParentProcessId", &[Pid(f::PROCESS_PARENT_PID)]),
];

/// The group is acted upon, and the member in it.
const GROUP: Table = &[
    ("TargetUserName", &[Text(f::GROUP_NAME), Text(f::USER_TARGET_GROUP_NAME)]),
    ("TargetSid", &[Text(f::GROUP_ID)]),
    ("TargetDomainName", &[Text(f::GROUP_DOMAIN)]),
    ("MemberSid", &[Text(f::USER_TARGET_ID)]),
    ("MemberName", &[With(member)]),
];

const RENAME: Table = &[
    ("OldTargetUserName", &[Text(f::USER_TARGET_NAME)]),
    ("NewTargetUserName", &[Text(f::USER_CHANGES_NAME)]),
];

const SHARE: Table = &[("ShareLocalPath", &[]), ("RelativeTargetName", &[File])];

const OBJECT: Table = &[("ObjectName", &[])];

const REGISTRY: Table = &[("ObjectName", &[]), ("ObjectValueName", &[Text(f::REGISTRY_VALUE)])];

/// Windows Filtering Platform.
const FIREWALL: Table = &[
    ("SourceAddress", &[Ip(f::SOURCE_IP)]),
    ("SourcePort", &[Port(f::SOURCE_PORT)]),
    ("DestAddress", &[Ip(f::DESTINATION_IP)]),
    ("DestPort", &[Port(f::DESTINATION_PORT)]),
    ("Protocol", &[With(values::transport)]),
    ("Direction", &[With(values::wfp_direction)]),
    ("Application", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
];

const CERTIFICATE: Table = &[("Requester", &[Account(&crate::formats::mapping::USER)])];

/// An account's own integrity label.
fn integrity(sheet: &mut Sheet, label: &str) {
    let level = match label {
        "S-1-16-0" => "untrusted",
        "S-1-16-4096" => "low",
        "S-1-16-8192" => "medium",
        "S-1-16-8448" => "medium-plus",
        "S-1-16-12288" => "high",
        "S-1-16-16384" => "system",
        _ => return,
    };
    sheet.put(f::PROCESS_INTEGRITY_LEVEL, level);
}

/// `CN=Alice Martin,OU=…` as the member's name.
fn member(sheet: &mut Sheet, name: &str) {
    let first = name.split(",OU=").next().unwrap_or(name);
    let first = first.split(",DC=").next().unwrap_or(first);
    let common = first.split(",CN=").next().unwrap_or(first);
    sheet.put(f::USER_TARGET_NAME, common.strip_prefix("CN=").unwrap_or(common));
}

/// Where the account that logs on is not named, who asked for it is all there is.
fn or_subject(sheet: &mut Sheet) {
    for (to, from) in [
        (f::USER_NAME, f::WINLOG_EVENT_DATA_SUBJECT_USER_NAME),
        (f::USER_DOMAIN, f::WINLOG_EVENT_DATA_SUBJECT_DOMAIN_NAME),
        (f::USER_ID, f::WINLOG_EVENT_DATA_SUBJECT_USER_SID),
    ] {
        if to == f::USER_NAME && sheet.has(to) {
            return;
        }
        sheet.alias(to, from);
    }
}

/// Kerberos and NTLM say failure by a status of their own.
fn by_status(sheet: &mut Sheet) {
    or_subject(sheet);
    if let Some(status) = sheet.get(f::WINLOG_EVENT_DATA_STATUS) {
        let success = crate::formats::text::whole(status) == Some(0);
        sheet.put(f::EVENT_OUTCOME, if success { "success" } else { "failure" });
    }
}

const IAM: &[&str] = &["iam"];
const AUTH: &[&str] = &["authentication"];
const USER_CREATION: &[&str] = &["user", "creation"];
const USER_CHANGE: &[&str] = &["user", "change"];
const USER_DELETION: &[&str] = &["user", "deletion"];
const GROUP_CREATION: &[&str] = &["group", "creation"];
const GROUP_CHANGE: &[&str] = &["group", "change"];
const GROUP_DELETION: &[&str] = &["group", "deletion"];
const POLICY: &[&str] = &["iam", "configuration"];

const fn logon(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(AUTH, types).maps(&[LOGON]).then(or_subject)
}

const fn ticket(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action).is(AUTH, &["start"]).maps(&[LOGON]).then(by_status)
}

const fn user(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(IAM, types)
}

const fn group(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(IAM, types).maps(&[GROUP])
}

const fn policy(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action).is(POLICY, &["admin", "change"])
}

const fn task(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(POLICY, types).maps(&[TASK])
}

const fn access(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action).is(&[], &["access"]).maps(&[OBJECT]).then(object)
}

const fn directory(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(POLICY, types)
}

const fn firewall(
    code: u32,
    title: &'static str,
    action: &'static str,
    types: &'static [&'static str],
) -> Rule {
    Rule::new(code, title, action).is(&["network"], types).maps(&[FIREWALL])
}

const fn audit(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action)
}

/// The events.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    Rule::new(1100, "The event logging service has shut down", "logging-service-shutdown").is(&["process"], &["end"]),
    Rule::new(1102, "The audit log was cleared", "audit-log-cleared").is(IAM, &["admin", "change"]),
    Rule::new(1104, "The security log is now full", "logging-full").is(IAM, &["admin"]),
    Rule::new(1105, "Event log automatic backup", "auditlog-archived").is(IAM, &["admin"]),
    Rule::new(1108, "The event logging service encountered an error", "logging-processing-error").is(IAM, &["admin"]),
    Rule::new(4608, "Windows is starting up", "system-started").is(&["host"], &["start"]),
    policy(4616, "The system time was changed", "system-time-changed"),
    policy(4610, "An authentication package has been loaded by the Local Security Authority", "authentication-package-loaded"),
    policy(4611, "A trusted logon process has been registered with the Local Security Authority", "logon-process-registered"),
    policy(4614, "A notification package has been loaded by the Security Account Manager", "notification-package-loaded"),
    policy(4622, "A security package has been loaded by the Local Security Authority", "security-package-loaded"),
    logon(4624, "An account was successfully logged on", "logged-in", &["start"]),
    logon(4625, "An account failed to log on", "logon-failed", &["start"]),
    logon(4626, "User/Device claims information", "claims-information", &["info"]),
    logon(4627, "Group membership information", "group-membership-information", &["info"]),
    logon(4634, "An account was logged off", "logged-out", &["end"]),
    logon(4647, "User initiated logoff", "logged-out", &["end"]),
    Rule::new(4648, "A logon was attempted using explicit credentials", "logged-in-explicit").is(AUTH, &["start"]).maps(&[EXPLICIT]),
    Rule::new(4649, "A replay attack was detected", "replay-attack-detected").is(AUTH, &["info"]),
    access(4656, "A handle to an object was requested", "object-handle-requested"),
    Rule::new(4657, "A registry value was modified", "registry-value-modified").is(&["registry", "configuration"], &["change"]).maps(&[REGISTRY]).then(registry),
    audit(4658, "The handle to an object was closed", "object-handle-closed"),
    access(4660, "An object was deleted", "object-deleted"),
    access(4661, "A handle to an object was requested", "object-handle-requested"),
    access(4662, "An operation was performed on an object", "object-operation-performed"),
    access(4663, "An attempt was made to access an object", "object-accessed"),
    access(4664, "An attempt was made to create a hard link", "hard-link-created"),
    access(4670, "Permissions on an object were changed", "permissions-changed"),
    Rule::new(4672, "Special privileges assigned to new logon", "logged-in-special").is(IAM, &["admin"]),
    Rule::new(4673, "A privileged service was called", "privileged-service-called").is(IAM, &["admin"]),
    Rule::new(4674, "An operation was attempted on a privileged object", "privileged-operation").is(IAM, &["admin"]),
    logon(4675, "SIDs were filtered", "sids-filtered", &["info"]),
    Rule::new(4688, "A new process has been created", "created-process").is(&["process"], &["start"]).maps(&[PROCESS]),
    Rule::new(4689, "A process has exited", "exited-process").is(&["process"], &["end"]),
    audit(4690, "An attempt was made to duplicate a handle to an object", "object-handle-duplicated"),
    audit(4692, "Backup of data protection master key was attempted", "master-key-backed-up"),
    audit(4693, "Recovery of data protection master key was attempted", "master-key-recovered"),
    audit(4695, "Unprotection of auditable protected data was attempted", "data-unprotected"),
    Rule::new(4696, "A primary token was assigned to process", "token-assigned").is(&["process"], &["change"]),
    Rule::new(4697, "A service was installed in the system", "service-installed").is(POLICY, &["admin", "change"]).maps(&[SERVICE]),
    task(4698, "A scheduled task was created", "scheduled-task-created", &["creation", "admin"]),
    task(4699, "A scheduled task was deleted", "scheduled-task-deleted", &["deletion", "admin"]),
    task(4700, "A scheduled task was enabled", "scheduled-task-enabled", &["change", "admin"]),
    task(4701, "A scheduled task was disabled", "scheduled-task-disabled", &["change", "admin"]),
    task(4702, "A scheduled task was updated", "scheduled-task-updated", &["change", "admin"]),
    Rule::new(4703, "A user right was adjusted", "token-right-adjusted").is(IAM, &["admin", "change"]),
    policy(4704, "A user right was assigned", "user-right-assigned"),
    policy(4705, "A user right was removed", "user-right-removed"),
    policy(4706, "A new trust was created to a domain", "domain-trust-added"),
    policy(4707, "A trust to a domain was removed", "domain-trust-removed"),
    policy(4713, "Kerberos policy was changed", "kerberos-policy-changed"),
    policy(4714, "Encrypted data recovery policy was changed", "encrypted-data-recovery-policy-changed"),
    policy(4715, "The audit policy (SACL) on an object was changed", "object-audit-policy-changed"),
    policy(4716, "Trusted domain information was modified", "trusted-domain-information-changed"),
    policy(4717, "System security access was granted to an account", "system-security-access-granted"),
    policy(4718, "System security access was removed from an account", "system-security-access-removed"),
    policy(4719, "System audit policy was changed", "changed-audit-config"),
    user(4720, "A user account was created", "added-user-account", USER_CREATION),
    user(4722, "A user account was enabled", "enabled-user-account", USER_CHANGE),
    user(4723, "An attempt was made to change an account's password", "changed-password", USER_CHANGE),
    user(4724, "An attempt was made to reset an account's password", "reset-password", USER_CHANGE),
    user(4725, "A user account was disabled", "disabled-user-account", USER_CHANGE),
    user(4726, "A user account was deleted", "deleted-user-account", USER_DELETION),
    group(4727, "A security-enabled global group was created", "added-group-account", GROUP_CREATION),
    group(4728, "A member was added to a security-enabled global group", "added-member-to-group", GROUP_CHANGE),
    group(4729, "A member was removed from a security-enabled global group", "removed-member-from-group", GROUP_CHANGE),
    group(4730, "A security-enabled global group was deleted", "deleted-group-account", GROUP_DELETION),
    group(4731, "A security-enabled local group was created", "added-group-account", GROUP_CREATION),
    group(4732, "A member was added to a security-enabled local group", "added-member-to-group", GROUP_CHANGE),
    group(4733, "A member was removed from a security-enabled local group", "removed-member-from-group", GROUP_CHANGE),
    group(4734, "A security-enabled local group was deleted", "deleted-group-account", GROUP_DELETION),
    group(4735, "A security-enabled local group was changed", "modified-group-account", GROUP_CHANGE),
    group(4737, "A security-enabled global group was changed", "modified-group-account", GROUP_CHANGE),
    user(4738, "A user account was changed", "modified-user-account", USER_CHANGE),
    policy(4739, "Domain Policy was changed", "domain-policy-changed"),
    user(4740, "A user account was locked out", "locked-out-user-account", USER_CHANGE),
    user(4741, "A computer account was created", "added-computer-account", &["creation", "admin"]),
    user(4742, "A computer account was changed", "changed-computer-account", &["change", "admin"]),
    user(4743, "A computer account was deleted", "deleted-computer-account", &["deletion", "admin"]),
    group(4744, "A security-disabled local group was created", "added-distribution-group-account", GROUP_CREATION),
    group(4745, "A security-disabled local group was changed", "changed-distribution-group-account", GROUP_CHANGE),
    group(4746, "A member was added to a security-disabled local group", "added-member-to-distribution-group", GROUP_CHANGE),
    group(4747, "A member was removed from a security-disabled local group", "removed-member-from-distribution-group", GROUP_CHANGE),
    group(4748, "A security-disabled local group was deleted", "deleted-distribution-group-account", GROUP_DELETION),
    group(4749, "A security-disabled global group was created", "added-distribution-group-account", GROUP_CREATION),
    group(4750, "A security-disabled global group was changed", "changed-distribution-group-account", GROUP_CHANGE),
    group(4751, "A member was added to a security-disabled global group", "added-member-to-distribution-group", GROUP_CHANGE),
    group(4752, "A member was removed from a security-disabled global group", "removed-member-from-distribution-group", GROUP_CHANGE),
    group(4753, "A security-disabled global group was deleted", "deleted-distribution-group-account", GROUP_DELETION),
    group(4754, "A security-enabled universal group was created", "added-group-account", GROUP_CREATION),
    group(4755, "A security-enabled universal group was changed", "modified-group-account", GROUP_CHANGE),
    group(4756, "A member was added to a security-enabled universal group", "added-member-to-group", GROUP_CHANGE),
    group(4757, "A member was removed from a security-enabled universal group", "removed-member-from-group", GROUP_CHANGE),
    group(4758, "A security-enabled universal group was deleted", "deleted-group-account", GROUP_DELETION),
    group(4759, "A security-disabled universal group was created", "added-distribution-group-account", GROUP_CREATION),
    group(4760, "A security-disabled universal group was changed", "changed-distribution-group-account", GROUP_CHANGE),
    group(4761, "A member was added to a security-disabled universal group", "added-member-to-distribution-group", GROUP_CHANGE),
    group(4762, "A member was removed from a security-disabled universal group", "removed-member-from-distribution-group", GROUP_CHANGE),
    group(4763, "A security-disabled universal group was deleted", "deleted-distribution-group-account", GROUP_DELETION),
    group(4764, "A group's type was changed", "type-changed-group-account", GROUP_CHANGE),
    user(4765, "SID History was added to an account", "added-sid-history", USER_CHANGE),
    user(4766, "An attempt to add SID History to an account failed", "added-sid-history", USER_CHANGE),
    user(4767, "A user account was unlocked", "unlocked-user-account", USER_CHANGE),
    ticket(4768, "A Kerberos authentication ticket (TGT) was requested", "kerberos-authentication-ticket-requested"),
    ticket(4769, "A Kerberos service ticket was requested", "kerberos-service-ticket-requested"),
    ticket(4770, "A Kerberos service ticket was renewed", "kerberos-service-ticket-renewed"),
    ticket(4771, "Kerberos pre-authentication failed", "kerberos-preauth-failed"),
    ticket(4772, "A Kerberos authentication ticket request failed", "kerberos-authentication-ticket-failed"),
    ticket(4773, "A Kerberos service ticket request failed", "kerberos-service-ticket-failed"),
    ticket(4774, "An account was mapped for logon", "account-mapped"),
    ticket(4776, "The computer attempted to validate the credentials for an account", "credential-validated"),
    ticket(4777, "The domain controller failed to validate the credentials for an account", "credential-validation-failed"),
    Rule::new(4778, "A session was reconnected to a Window Station", "session-reconnected").is(&["authentication", "session"], &["start"]).maps(&[SESSION]),
    Rule::new(4779, "A session was disconnected from a Window Station", "session-disconnected").is(&["authentication", "session"], &["end"]).maps(&[SESSION]),
    user(4780, "The ACL was set on accounts which are members of administrators groups", "administrators-acl-set", USER_CHANGE),
    Rule::new(4781, "The name of an account was changed", "renamed-user-account").is(IAM, USER_CHANGE).maps(&[RENAME]),
    user(4794, "An attempt was made to set the Directory Services Restore Mode administrator password", "dsrm-password-set", USER_CHANGE),
    user(4797, "An attempt was made to query the existence of a blank password for an account", "blank-password-queried", &["user", "info"]),
    user(4798, "A user's local group membership was enumerated", "group-membership-enumerated", &["user", "info"]),
    group(4799, "A security-enabled local group membership was enumerated", "user-member-enumerated", &["group", "info"]),
    Rule::new(4800, "The workstation was locked", "workstation-locked").is(&["session"], &["info"]),
    Rule::new(4801, "The workstation was unlocked", "workstation-unlocked").is(&["session"], &["info"]),
    Rule::new(4802, "The screen saver was invoked", "screensaver-invoked").is(&["session"], &["info"]),
    Rule::new(4803, "The screen saver was dismissed", "screensaver-dismissed").is(&["session"], &["info"]),
    policy(4817, "Auditing settings on object were changed", "object-audit-changed"),
    Rule::new(4825, "A user was denied the access to Remote Desktop. By default, users are allowed to connect only if they are members of the Remote Desktop Users group or Administrators group", "remote-desktop-denied").is(AUTH, &["start", "denied"]),
    Rule::new(4826, "Boot Configuration Data loaded", "boot-configuration-loaded").is(&["configuration"], &["info"]),
    audit(4864, "A namespace collision was detected", "namespace-collision-detected"),
    Rule::new(4886, "Certificate Services received a certificate request", "certificate-requested").is(IAM, &["info"]).maps(&[CERTIFICATE]),
    Rule::new(4887, "Certificate Services approved a certificate request and issued a certificate", "certificate-issued").is(IAM, &["creation"]).maps(&[CERTIFICATE]),
    Rule::new(4888, "Certificate Services denied a certificate request", "certificate-denied").is(IAM, &["denied"]).maps(&[CERTIFICATE]),
    policy(4890, "The certificate manager settings for Certificate Services changed", "certificate-manager-changed"),
    policy(4898, "Certificate Services loaded a template", "certificate-template-loaded"),
    policy(4899, "A Certificate Services template was updated", "certificate-template-updated"),
    policy(4902, "The Per-user audit policy table was created", "user-audit-policy-created"),
    policy(4904, "An attempt was made to register a security event source", "security-event-source-added"),
    policy(4905, "An attempt was made to unregister a security event source", "security-event-source-removed"),
    policy(4906, "The CrashOnAuditFail value has changed", "crash-on-audit-changed"),
    policy(4907, "Auditing settings on object were changed", "audit-setting-changed"),
    policy(4908, "Special Groups Logon table modified", "special-group-table-changed"),
    policy(4911, "Resource attributes of the object were changed", "resource-attributes-changed"),
    policy(4912, "Per User Audit Policy was changed", "per-user-audit-policy-changed"),
    directory(4928, "An Active Directory replica source naming context was established", "replica-source-established", &["creation"]),
    directory(4929, "An Active Directory replica source naming context was removed", "replica-source-removed", &["deletion"]),
    directory(4932, "Synchronization of a replica of an Active Directory naming context has begun", "replica-synchronization-begun", &["start"]),
    directory(4933, "Synchronization of a replica of an Active Directory naming context has ended", "replica-synchronization-ended", &["end"]),
    policy(4944, "The following policy was active when the Windows Firewall started", "firewall-policy-active"),
    policy(4945, "A rule was listed when the Windows Firewall started", "firewall-rule-listed"),
    policy(4946, "A change has been made to Windows Firewall exception list. A rule was added", "firewall-rule-added"),
    policy(4947, "A change has been made to Windows Firewall exception list. A rule was modified", "firewall-rule-modified"),
    policy(4948, "A change has been made to Windows Firewall exception list. A rule was deleted", "firewall-rule-deleted"),
    policy(4950, "A Windows Firewall setting has changed", "firewall-setting-changed"),
    Rule::new(4964, "Special groups have been assigned to a new logon", "logged-in-special").is(IAM, &["admin", "group"]),
    Rule::new(4985, "The state of a transaction has changed", "transaction-state-changed").is(&[], &["change"]),
    audit(5058, "Key file operation", "key-file-operation"),
    audit(5059, "Key migration operation", "key-migration-operation"),
    audit(5061, "Cryptographic operation", "cryptographic-operation"),
    Rule::new(5024, "The Windows Firewall Service has started successfully", "firewall-started").is(&["host"], &["start"]),
    Rule::new(5025, "The Windows Firewall Service has been stopped", "firewall-stopped").is(&["host"], &["end"]),
    audit(5038, "Code integrity determined that the image hash of a file is not valid", "image-hash-invalid"),
    directory(5136, "A directory service object was modified", "directory-object-modified", &["change"]),
    directory(5137, "A directory service object was created", "directory-object-created", &["creation"]),
    directory(5138, "A directory service object was undeleted", "directory-object-undeleted", &["creation"]),
    directory(5139, "A directory service object was moved", "directory-object-moved", &["change"]),
    directory(5141, "A directory service object was deleted", "directory-object-deleted", &["deletion"]),
    Rule::new(5140, "A network share object was accessed", "network-share-object-accessed").is(&["network", "file"], &["access"]).maps(&[SHARE]),
    Rule::new(5142, "A network share object was added", "network-share-object-added").is(&["network", "file"], &["creation"]).maps(&[SHARE]),
    Rule::new(5143, "A network share object was modified", "network-share-object-modified").is(&["network", "file"], &["change"]).maps(&[SHARE]),
    Rule::new(5144, "A network share object was deleted", "network-share-object-deleted").is(&["network", "file"], &["deletion"]).maps(&[SHARE]),
    Rule::new(5145, "A network share object was checked to see whether client can be granted desired access", "network-share-object-access-checked").is(&["network", "file"], &["access"]).maps(&[SHARE]),
    firewall(5150, "The Windows Filtering Platform blocked a packet", "windows-firewall-packet-blocked", &["connection", "denied"]),
    firewall(5152, "The Windows Filtering Platform blocked a packet", "windows-firewall-packet-drop", &["connection", "denied"]),
    firewall(5153, "A more restrictive Windows Filtering Platform filter has blocked a packet", "windows-firewall-packet-drop", &["connection", "denied"]),
    firewall(5154, "The Windows Filtering Platform has permitted an application or service to listen on a port for incoming connections", "windows-firewall-listen", &["allowed", "start"]),
    firewall(5155, "The Windows Filtering Platform has blocked an application or service from listening on a port for incoming connections", "windows-firewall-listen-blocked", &["denied"]),
    firewall(5156, "The Windows Filtering Platform has permitted a connection", "windows-firewall-connection", &["connection", "start", "allowed"]),
    firewall(5157, "The Windows Filtering Platform has blocked a connection", "windows-firewall-packet-block", &["connection", "denied"]),
    firewall(5158, "The Windows Filtering Platform has permitted a bind to a local port", "windows-firewall-bind", &["start", "allowed"]),
    firewall(5159, "The Windows Filtering Platform has blocked a bind to a local port", "windows-firewall-bind-blocked", &["denied"]),
    access(5168, "SPN check for SMB/SMB2 failed", "spn-check-failed"),
    Rule::new(5376, "Credential Manager credentials were backed up", "credentials-backed-up").is(IAM, &["access"]),
    Rule::new(5377, "Credential Manager credentials were restored from a backup", "credentials-restored").is(IAM, &["change"]),
    Rule::new(5379, "Credential Manager credentials were read", "credentials-read").is(IAM, &["access"]),
    Rule::new(5381, "Vault credentials were read", "vault-credentials-read").is(IAM, &["access"]),
    Rule::new(5382, "Vault credentials were read", "vault-credentials-read").is(IAM, &["access"]),
    policy(5447, "A Windows Filtering Platform filter has been changed", "firewall-filter-changed"),
    policy(6144, "Security policy in the group policy objects has been applied successfully", "group-policy-applied"),
    policy(6145, "One or more errors occurred while processing security policy in the group policy objects", "group-policy-failed"),
    Rule::new(6272, "Network Policy Server granted access to a user", "network-access-granted").is(AUTH, &["start", "allowed"]),
    Rule::new(6273, "Network Policy Server denied access to a user", "network-access-denied").is(AUTH, &["start", "denied"]),
    Rule::new(6416, "A new external device was recognized by the system.", "external-device-recognized").is(&["host"], &["info"]),
    Rule::new(6419, "A request was made to disable a device", "device-disable-requested").is(&["host"], &["change"]),
    Rule::new(6420, "A device was disabled", "device-disabled").is(&["host"], &["change"]),
    Rule::new(6422, "A device was enabled", "device-enabled").is(&["host"], &["change"]),
    Rule::new(6423, "The installation of this device is forbidden by system policy", "device-installation-denied").is(&["host"], &["denied"]),
];

const SESSION: Table = &[
    ("AccountName", &[Text(f::USER_NAME)]),
    ("AccountDomain", &[Text(f::USER_DOMAIN)]),
    ("LogonID", &[Text(f::WINLOG_LOGON_ID)]),
    ("ClientAddress", &[Ip(f::SOURCE_IP)]),
    ("ClientName", &[Text(f::SOURCE_DOMAIN)]),
];
