//! PowerShell, Defender, System and the other channels.

use event::fields as f;

use super::{rule::Rule, values};
use crate::formats::{
    mapping::{Op::*, Table},
    sheet::Sheet,
};

/// PowerShell's module and script block logging.
#[rustfmt::skip]
pub(super) const POWERSHELL: &[Rule] = &[
    Rule::new(4100, "PowerShell error", "powershell-error").is(&["process"], &["info", "error"]).maps(&[CONTEXT]),
    Rule::new(4103, "Executing Pipeline", "powershell-module-logged").is(&["process"], &["info"]).maps(&[CONTEXT]),
    Rule::new(4104, "Creating Scriptblock text", "powershell-script-block-logged").is(&["process"], &["info"]).maps(&[SCRIPT_BLOCK]),
    Rule::new(4105, "Script block invocation started", "powershell-script-block-started").is(&["process"], &["start"]).maps(&[SCRIPT_BLOCK]),
    Rule::new(4106, "Script block invocation completed", "powershell-script-block-completed").is(&["process"], &["end"]).maps(&[SCRIPT_BLOCK]),
    Rule::new(40961, "PowerShell console is starting up", "powershell-console-starting").is(&["process"], &["start"]),
    Rule::new(40962, "PowerShell console is ready for user input", "powershell-console-ready").is(&["process"], &["info"]),
    Rule::new(53504, "PowerShell IPC listening thread started", "powershell-ipc-started").is(&["process"], &["start"]),
];

const CONTEXT: Table = &[("ContextInfo", &[With(values::powershell_context)])];

const SCRIPT_BLOCK: Table = &[
    ("ScriptBlockText", &[Text(f::POWERSHELL_SCRIPT_BLOCK_TEXT)]),
    ("ScriptBlockId", &[Text(f::POWERSHELL_SCRIPT_BLOCK_ID)]),
    ("Path", &[File]),
];

/// The older channel, whose events have unnamed values with a context in them.
#[rustfmt::skip]
pub(super) const POWERSHELL_CLASSIC: &[Rule] = &[
    Rule::new(400, "Engine state is changed from None to Available", "powershell-engine-started").is(&["process"], &["start"]).maps(&[UNNAMED]).then(classic),
    Rule::new(403, "Engine state is changed from Available to Stopped", "powershell-engine-stopped").is(&["process"], &["end"]).maps(&[UNNAMED]).then(classic),
    Rule::new(500, "Command state is changed to Started", "powershell-command-started").is(&["process"], &["start"]).maps(&[UNNAMED]).then(classic),
    Rule::new(501, "Command state is changed to Stopped", "powershell-command-stopped").is(&["process"], &["end"]).maps(&[UNNAMED]).then(classic),
    Rule::new(600, "Provider state is changed to Started", "powershell-provider-started").is(&["process"], &["info"]).maps(&[UNNAMED]).then(classic),
    Rule::new(800, "Pipeline execution details", "powershell-pipeline-executed").is(&["process"], &["info"]).maps(&[UNNAMED]).then(classic),
];

const UNNAMED: Table = &[
    ("Data", &[With(values::powershell_context)]),
    ("param1", &[With(values::powershell_context)]),
    ("param2", &[With(values::powershell_context)]),
    ("param3", &[With(values::powershell_context)]),
];

/// Sigma's rules for this channel read `Data`. Shippers name the unnamed values `param1` and
/// so on, or send only the message that Windows made of them.
fn classic(sheet: &mut Sheet) {
    let data = f::WINLOG_EVENT_DATA_DATA;
    if sheet.has(data) {
        return;
    }
    for from in
        [f::WINLOG_EVENT_DATA_PARAM1, f::WINLOG_EVENT_DATA_PARAM2, f::WINLOG_EVENT_DATA_PARAM3]
    {
        sheet.copy(data, from);
    }
    if !sheet.has(data)
        && let Some(message) = sheet.get(f::MESSAGE).map(str::to_owned)
    {
        sheet.copy(data, f::MESSAGE);
        values::powershell_context(sheet, &message);
    }
}

const DEFENDER_THREAT: Table = &[
    ("Threat Name", &[Text(f::THREAT_SOFTWARE_NAME)]),
    ("Threat ID", &[Text(f::RULE_ID)]),
    ("Category Name", &[Text(f::RULE_CATEGORY)]),
    ("Path", &[With(values::defender_path)]),
    ("Process Name", &[With(process)]),
    ("Detection User", &[Account(&crate::formats::mapping::USER)]),
    ("Detection Time", &[Time(f::EVENT_START)]),
];

/// An attack surface reduction rule, or a protected folder.
const DEFENDER_GUARD: Table = &[
    ("ID", &[Text(f::RULE_ID)]),
    ("Path", &[File]),
    ("Process Name", &[With(process)]),
    ("User", &[Account(&crate::formats::mapping::USER)]),
];

/// Defender writes `Unknown` for a process that it does not know.
fn process(sheet: &mut Sheet, path: &str) {
    if path != "Unknown" {
        Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }.run(sheet, path);
    }
}

const fn threat(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action).is(&["malware"], &["info"]).maps(&[DEFENDER_THREAT]).alert()
}

const fn guard(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action)
        .is(&["intrusion_detection"], &["info"])
        .maps(&[DEFENDER_GUARD])
        .alert()
}

const fn setting(code: u32, title: &'static str, action: &'static str) -> Rule {
    Rule::new(code, title, action).is(&["configuration"], &["change"])
}

/// Microsoft Defender Antivirus.
#[rustfmt::skip]
pub(super) const DEFENDER: &[Rule] = &[
    Rule::new(1000, "An antimalware scan started.", "malware-scan-started").is(&["host"], &["start"]),
    Rule::new(1001, "An antimalware scan finished.", "malware-scan-finished").is(&["host"], &["end"]),
    Rule::new(1002, "An antimalware scan was stopped before it finished.", "malware-scan-stopped").is(&["host"], &["end"]),
    Rule::new(1005, "An antimalware scan failed.", "malware-scan-failed").is(&["host"], &["error"]),
    threat(1006, "The antimalware engine found malware or other potentially unwanted software.", "malware-detected"),
    threat(1007, "The antimalware platform performed an action to protect your system from malware or other potentially unwanted software.", "malware-action-taken"),
    threat(1008, "The antimalware platform attempted to perform an action to protect your system from malware or other potentially unwanted software, but the action failed.", "malware-action-failed"),
    threat(1009, "The antimalware platform restored an item from quarantine.", "quarantine-restored"),
    threat(1011, "The antimalware platform deleted an item from quarantine.", "quarantine-deleted"),
    Rule::new(1013, "The antimalware platform deleted history of malware and other potentially unwanted software.", "malware-history-deleted").is(&["host"], &["deletion"]),
    threat(1015, "The antimalware platform detected suspicious behavior.", "behaviour-detected"),
    threat(1116, "The antimalware platform detected malware or other potentially unwanted software.", "malware-detected"),
    threat(1117, "The antimalware platform performed an action to protect your system from malware or other potentially unwanted software.", "malware-action-taken"),
    threat(1118, "The antimalware platform attempted to perform an action to protect your system from malware or other potentially unwanted software, but the action failed.", "malware-action-failed"),
    threat(1119, "The antimalware platform encountered a critical error when trying to take action on malware or other potentially unwanted software.", "malware-action-failed"),
    guard(1121, "An attack surface reduction rule blocked an action.", "attack-surface-reduction-blocked"),
    guard(1122, "An attack surface reduction rule audited an action.", "attack-surface-reduction-audited"),
    guard(1123, "Controlled folder access blocked a change.", "controlled-folder-access-blocked"),
    guard(1124, "Controlled folder access audited a change.", "controlled-folder-access-audited"),
    guard(1125, "Network protection audited a connection.", "network-protection-audited"),
    guard(1126, "Network protection blocked a connection.", "network-protection-blocked"),
    Rule::new(2000, "The antimalware definitions updated successfully.", "definitions-updated").is(&["host"], &["change"]),
    Rule::new(2001, "The security intelligence update failed.", "definitions-update-failed").is(&["host"], &["error"]),
    Rule::new(3002, "Real-time protection encountered an error and failed.", "real-time-protection-failed").is(&["host"], &["error"]),
    setting(5000, "Real-time protection is enabled.", "real-time-protection-enabled"),
    setting(5001, "Real-time protection is disabled.", "real-time-protection-disabled"),
    setting(5004, "The real-time protection configuration changed.", "real-time-protection-changed"),
    setting(5007, "The antimalware platform configuration changed.", "malware-protection-changed"),
    setting(5008, "The antimalware engine encountered an error and failed.", "malware-engine-failed"),
    setting(5010, "Scanning for malware and other potentially unwanted software is disabled.", "malware-scan-disabled"),
    setting(5012, "Scanning for viruses is disabled.", "virus-scan-disabled"),
    setting(5013, "Tamper protection blocked a change to Microsoft Defender Antivirus.", "tamper-protection-blocked"),
    setting(5101, "The antimalware platform is expired.", "malware-protection-expired"),
];

const SERVICE: Table = &[
    ("ServiceName", &[Text(f::SERVICE_NAME)]),
    ("ServiceType", &[Text(f::SERVICE_TYPE)]),
    ("ImagePath", &[Text(f::PROCESS_COMMAND_LINE)]),
];

const SERVICE_STATE: Table = &[("param1", &[Text(f::SERVICE_NAME)])];

const CLEARED: Table =
    &[("SubjectUserName", &[Text(f::USER_NAME)]), ("SubjectDomainName", &[Text(f::USER_DOMAIN)])];

/// The System channel. The service control manager's and the event log's events are told
/// apart from others with the same id by their provider.
#[rustfmt::skip]
pub(super) const SYSTEM: &[Rule] = &[
    Rule::new(104, "The System log file was cleared", "event-log-cleared").is(&["iam"], &["admin", "change"]).maps(&[CLEARED]),
    Rule::new(1074, "A process initiated a shutdown or restart", "shutdown-initiated").is(&["host"], &["end"]),
    Rule::new(6005, "The Event log service was started", "event-log-started").is(&["host"], &["start"]),
    Rule::new(6006, "The Event log service was stopped", "event-log-stopped").is(&["host"], &["end"]),
    Rule::new(6008, "The previous system shutdown was unexpected", "unexpected-shutdown").is(&["host"], &["error"]),
];

/// The service control manager, in the System channel.
#[rustfmt::skip]
pub(super) const SERVICES: &[Rule] = &[
    Rule::new(7000, "A service failed to start", "service-start-failed").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7009, "A timeout was reached while waiting for a service to connect", "service-start-timeout").is(&["host"], &["error"]),
    Rule::new(7022, "A service hung on starting", "service-hung").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7023, "A service terminated with an error", "service-failed").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7024, "A service terminated with a service-specific error", "service-failed").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7031, "A service terminated unexpectedly", "service-crashed").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7034, "A service terminated unexpectedly", "service-crashed").is(&["host"], &["error"]).maps(&[SERVICE_STATE]),
    Rule::new(7035, "A service was sent a control", "service-controlled").is(&["host"], &["change"]).maps(&[SERVICE_STATE]),
    Rule::new(7036, "A service entered a state", "service-state-changed").is(&["host"], &["change"]).maps(&[SERVICE_STATE]),
    Rule::new(7040, "The start type of a service was changed", "service-start-type-changed").is(&["configuration"], &["change"]).maps(&[SERVICE_STATE]),
    Rule::new(7045, "A service was installed in the system", "service-installed").is(&["configuration"], &["creation"]).maps(&[SERVICE]),
];

/// Task Scheduler's own channel.
const TASK: Table = &[
    ("UserContext", &[Account(&crate::formats::mapping::USER)]),
    ("UserName", &[Account(&crate::formats::mapping::USER)]),
    ("Path", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("ProcessID", &[Pid(f::PROCESS_PID)]),
];

/// `Microsoft-Windows-TaskScheduler`.
#[rustfmt::skip]
pub(super) const TASKS: &[Rule] = &[
    Rule::new(100, "Task started", "scheduled-task-started").is(&["process"], &["start"]).maps(&[TASK]),
    Rule::new(106, "Task registered", "scheduled-task-created").is(&["configuration"], &["creation"]).maps(&[TASK]),
    Rule::new(129, "Created task process", "scheduled-task-process-created").is(&["process"], &["start"]).maps(&[TASK]),
    Rule::new(140, "Task registration updated", "scheduled-task-updated").is(&["configuration"], &["change"]).maps(&[TASK]),
    Rule::new(141, "Task registration deleted", "scheduled-task-deleted").is(&["configuration"], &["deletion"]).maps(&[TASK]),
    Rule::new(142, "Task disabled", "scheduled-task-disabled").is(&["configuration"], &["change"]).maps(&[TASK]),
    Rule::new(200, "Action started", "scheduled-task-action-started").is(&["process"], &["start"]).maps(&[TASK]),
    Rule::new(201, "Action completed", "scheduled-task-action-completed").is(&["process"], &["end"]).maps(&[TASK]),
];

/// The background transfer service.
const TRANSFER: Table = &[
    ("url", &[Text(f::URL_ORIGINAL), Text(f::URL_FULL), With(url_host)]),
    ("RemoteName", &[Text(f::URL_ORIGINAL), Text(f::URL_FULL), With(url_host)]),
    ("LocalName", &[File]),
    ("fileLength", &[With(size)]),
    ("processPath", &[Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }]),
    ("processId", &[Pid(f::PROCESS_PID)]),
    ("jobOwner", &[Account(&crate::formats::mapping::USER)]),
];

fn url_host(sheet: &mut Sheet, url: &str) {
    let host = super::message::url_host(url);
    sheet.put(f::URL_DOMAIN, host);
    Host { ip: f::DESTINATION_IP, domain: f::DESTINATION_DOMAIN }.run(sheet, host);
}

/// The service writes the largest number for a length that it does not know.
fn size(sheet: &mut Sheet, length: &str) {
    if let Ok(length) = length.parse() {
        sheet.put_whole(f::FILE_SIZE, length);
    }
}

/// `Microsoft-Windows-Bits-Client`.
#[rustfmt::skip]
pub(super) const TRANSFERS: &[Rule] = &[
    Rule::new(3, "The BITS service created a new job", "transfer-job-created").is(&["network"], &["info"]).maps(&[TRANSFER]),
    Rule::new(4, "The transfer job is complete", "transfer-job-completed").is(&["network"], &["end"]).maps(&[TRANSFER]),
    Rule::new(5, "A job was cancelled", "transfer-job-cancelled").is(&["network"], &["end"]).maps(&[TRANSFER]),
    Rule::new(59, "BITS has started the transfer job", "transfer-started").is(&["network"], &["start"]).maps(&[TRANSFER]),
    Rule::new(60, "BITS has stopped transferring the BITS Transfer job", "transfer-stopped").is(&["network"], &["end"]).maps(&[TRANSFER]),
    Rule::new(61, "BITS stopped transferring the job because of an error", "transfer-failed").is(&["network"], &["end", "error"]).maps(&[TRANSFER]),
];

const WMI: Table = &[
    ("User", &[Account(&crate::formats::mapping::USER)]),
    ("ClientProcessId", &[Pid(f::PROCESS_PID)]),
];

/// `Microsoft-Windows-WMI-Activity`.
#[rustfmt::skip]
pub(super) const WMI_ACTIVITY: &[Rule] = &[
    Rule::new(5857, "A WMI provider was loaded", "wmi-provider-loaded").is(&["process"], &["info"]).maps(&[WMI]),
    Rule::new(5858, "A WMI operation failed", "wmi-operation-failed").is(&["process"], &["error"]).maps(&[WMI]),
    Rule::new(5859, "A WMI event filter was registered", "wmi-filter-changed").is(&["configuration"], &["creation"]).maps(&[WMI]),
    Rule::new(5860, "A temporary WMI event subscription was registered", "wmi-subscription-created").is(&["configuration"], &["creation"]).maps(&[WMI]),
    Rule::new(5861, "A permanent WMI event subscription was registered", "wmi-subscription-created").is(&["configuration"], &["creation"]).maps(&[WMI]),
];

const APP_LOCKER: Table = &[
    ("FilePath", &[File]),
    ("FullFilePath", &[File]),
    ("FileHash", &[Digest(&crate::formats::mapping::FILE_HASH)]),
    ("TargetUser", &[Sid(f::USER_ID)]),
    ("TargetProcessId", &[Pid(f::PROCESS_PID)]),
    ("PolicyName", &[Text(f::RULE_RULESET)]),
    ("RuleId", &[Text(f::RULE_ID)]),
    ("RuleName", &[Text(f::RULE_NAME)]),
];

const fn app_locker(code: u32, title: &'static str, types: &'static [&'static str]) -> Rule {
    Rule::new(code, title, "application-controlled").is(&["process"], types).maps(&[APP_LOCKER])
}

/// `Microsoft-Windows-AppLocker`.
#[rustfmt::skip]
pub(super) const APP_CONTROL: &[Rule] = &[
    app_locker(8002, "An executable or library was allowed to run", &["info", "allowed"]),
    app_locker(8003, "An executable or library would have been blocked", &["info", "allowed"]),
    app_locker(8004, "An executable or library was blocked", &["info", "denied"]),
    app_locker(8005, "A script or installer was allowed to run", &["info", "allowed"]),
    app_locker(8006, "A script or installer would have been blocked", &["info", "allowed"]),
    app_locker(8007, "A script or installer was blocked", &["info", "denied"]),
    app_locker(8020, "A packaged app was allowed to run", &["info", "allowed"]),
    app_locker(8021, "A packaged app would have been blocked", &["info", "allowed"]),
    app_locker(8022, "A packaged app was blocked", &["info", "denied"]),
];

/// Remote desktop sessions, on either side.
const REMOTE: Table = &[
    ("User", &[Account(&crate::formats::mapping::USER)]),
    ("Address", &[Ip(f::SOURCE_IP)]),
    ("Param1", &[Account(&crate::formats::mapping::USER)]),
    ("Param2", &[Text(f::USER_DOMAIN)]),
    ("Param3", &[Ip(f::SOURCE_IP)]),
];

/// `Microsoft-Windows-TerminalServices-*`.
#[rustfmt::skip]
pub(super) const REMOTE_DESKTOP: &[Rule] = &[
    Rule::new(21, "Session logon succeeded", "session-logged-in").is(&["authentication", "session"], &["start"]).maps(&[REMOTE]),
    Rule::new(22, "Shell start notification received", "session-shell-started").is(&["session"], &["start"]).maps(&[REMOTE]),
    Rule::new(23, "Session logoff succeeded", "session-logged-out").is(&["authentication", "session"], &["end"]).maps(&[REMOTE]),
    Rule::new(24, "Session has been disconnected", "session-disconnected").is(&["session"], &["end"]).maps(&[REMOTE]),
    Rule::new(25, "Session reconnection succeeded", "session-reconnected").is(&["session"], &["start"]).maps(&[REMOTE]),
    Rule::new(1149, "User authentication succeeded", "remote-desktop-authenticated").is(&["authentication", "network"], &["start"]).maps(&[REMOTE]),
];

/// What names mean in any other channel.
pub(super) const COMMON: Table = &[
    ("SubjectUserSid", &[Sid(f::USER_ID)]),
    ("SubjectUserName", &[Text(f::USER_NAME)]),
    ("SubjectDomainName", &[Text(f::USER_DOMAIN)]),
    ("SubjectLogonId", &[Text(f::WINLOG_LOGON_ID)]),
    ("TargetUserName", &[Text(f::USER_TARGET_NAME)]),
    ("TargetDomainName", &[Text(f::USER_TARGET_DOMAIN)]),
    ("TargetUserSid", &[Text(f::USER_TARGET_ID)]),
    ("CommandLine", &[Text(f::PROCESS_COMMAND_LINE)]),
    ("ClientAddress", &[With(client_address)]),
    ("ClientIP", &[With(client_address)]),
    ("AccountName", &[Text(f::USER_NAME)]),
    ("QueryName", &[Text(f::DNS_QUESTION_NAME)]),
];

/// An address, with or without a port behind it.
fn client_address(sheet: &mut Sheet, address: &str) {
    if sheet.put_ip(f::SOURCE_IP, address) {
        return;
    }
    if let Ok(socket) = address.parse::<std::net::SocketAddr>() {
        sheet.put_ip(f::SOURCE_IP, &socket.ip().to_string());
        sheet.put_whole(f::SOURCE_PORT, socket.port().into());
    }
}
