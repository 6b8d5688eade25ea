//! The message that Windows renders, for shippers that send nothing else of the event's data.
//!
//! Sysmon's is the same everywhere. Others are localised: the labels read here are those of
//! English hosts. A localised message stays searchable text.

use std::sync::OnceLock;

use event::fields as f;
use memchr::memmem::Finder;

use crate::formats::{
    mapping::{Op, Op::*},
    sheet::Sheet,
    text,
};

/// Labels of lines; the first line of a label counts, which is that of the subject.
const LABELS: &[(&str, Op)] = &[
    ("Security ID", Sid(f::USER_ID)),
    ("Account Name", Text(f::USER_NAME)),
    ("User Name", Text(f::USER_NAME)),
    ("Account Domain", Text(f::USER_DOMAIN)),
    ("Domain Name", Text(f::USER_DOMAIN)),
    ("Domain", Text(f::USER_DOMAIN)),
    ("Logon ID", Text(f::WINLOG_LOGON_ID)),
    ("Source Network Address", Ip(f::SOURCE_IP)),
    ("Client Address", With(client)),
    ("Client IP", With(client)),
    ("Source Port", Port(f::SOURCE_PORT)),
    ("New Process Name", Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }),
    ("Process Command Line", Text(f::PROCESS_COMMAND_LINE)),
    ("Service Name", Text(f::SERVICE_NAME)),
    ("Failure Reason", Text(f::EVENT_REASON)),
    ("Caller Process ID", Pid(f::PROCESS_PID)),
    ("Caller Process Name", Path { path: f::PROCESS_EXECUTABLE, name: f::PROCESS_NAME }),
];

/// An address, with or without a port.
fn client(sheet: &mut Sheet, address: &str) {
    if let Ok(socket) = address.parse::<std::net::SocketAddr>() {
        sheet.put_ip(f::SOURCE_IP, &socket.ip().to_string());
        sheet.put_whole(f::SOURCE_PORT, socket.port().into());
    } else {
        sheet.put_ip(f::SOURCE_IP, address);
    }
}

/// Reads `Label: value` lines.
pub(super) fn labels(sheet: &mut Sheet, message: &str) {
    for line in message.lines() {
        let Some((label, value)) = line.split_once(':') else { continue };
        let (label, value) = (label.trim(), value.trim());
        if let Some((_, op)) = LABELS.iter().find(|(known, _)| *known == label) {
            op.run(sheet, value);
        }
    }
}

/// The processes of an audit event whose `ProcessId` NXLog has written its own over, and why a
/// logon failed where a relay dropped that. `creation` is that of a process: then the message
/// calls the new process's creator by name.
pub(super) fn audited_process(sheet: &mut Sheet, message: &str, creation: bool) {
    if creation {
        if let Some(creator) = behind(message, &CREATOR) {
            Pid(f::PROCESS_PARENT_PID).run(sheet, creator);
        }
    } else if let Some(process) = behind(message, &PROCESS) {
        Pid(f::PROCESS_PID).run(sheet, process);
    }
    if let Some(reason) = behind(message, &REASON) {
        Text(f::EVENT_REASON).run(sheet, reason);
    }
}

/// Labels as English and French hosts write them.
static CREATOR: Labels = Labels::of(&["Creator Process ID:", "ID du processus créateur :"]);
static PROCESS: Labels = Labels::of(&["Process ID:", "ID du processus :"]);
static REASON: Labels =
    Labels::of(&["Failure Reason:", "Raison de l’échec :", "Raison de l'échec :"]);
static CLIENT: Labels = Labels::of(&["Client IP:"]);

/// Labels, made ready to be looked for once: that takes longer than to look for them.
struct Labels {
    texts: &'static [&'static str],
    finders: OnceLock<Vec<Finder<'static>>>,
}

impl Labels {
    const fn of(texts: &'static [&'static str]) -> Self {
        Self { texts, finders: OnceLock::new() }
    }
}

/// What stands behind the first of `labels`, to the end of its line.
fn behind<'m>(message: &'m str, labels: &Labels) -> Option<&'m str> {
    let finders = || labels.texts.iter().map(Finder::new).collect();
    let finders = labels.finders.get_or_init(finders);
    finders.iter().find_map(|label| {
        let at = label.find(message.as_bytes())?;
        Some(message.get(at + label.needle().len()..)?.lines().next()?.trim())
    })
}

/// What events say that have a sentence and nothing else: the address of a client that the
/// terminal server cut off, the file that AppLocker let run or did not.
pub(super) fn sentence(sheet: &mut Sheet, provider: &str, message: &str) {
    if provider.eq_ignore_ascii_case("TermDD") {
        if let Some(address) = behind(message, &CLIENT) {
            sheet.put_ip(f::SOURCE_IP, address.trim_end_matches('.'));
        }
    } else if provider.eq_ignore_ascii_case("Microsoft-Windows-AppLocker") {
        let file = [" was allowed to run", " was prevented from running"]
            .iter()
            .find_map(|verdict| message.split_once(verdict))
            .map(|(file, _)| file.trim());
        // A sentence in another language has no path before these words.
        if let Some(file) = file.filter(|file| file.contains('\\') && !file.contains('\n')) {
            File.run(sheet, file);
        }
    }
}

/// Reads the audit XML that AD FS puts into its messages.
pub(super) fn federation(sheet: &mut Sheet, message: &str) {
    if let Some(address) = tag(message, "IpAddress") {
        sheet.put_ip(f::SOURCE_IP, address.split(',').next().unwrap_or(address));
    }
    if let Some(agent) = tag(message, "UserAgentString") {
        sheet.put(f::USER_AGENT_ORIGINAL, agent);
    }
    if let Some(server) = tag(message, "Server").filter(|server| server.contains("://")) {
        sheet.put(f::URL_ORIGINAL, server);
        sheet.put(f::URL_FULL, server);
        sheet.put(f::URL_DOMAIN, url_host(server));
    }
    if let Some(user) = tag(message, "UserId") {
        sheet.put(f::USER_EMAIL, user);
    }
}

/// The text of the first `<name>`; AD FS writes `N/A` for nothing.
fn tag<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let (_, rest) = message.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once('<')?;
    Some(content.trim()).filter(|content| text::is_present(content) && *content != "N/A")
}

/// The host of a URL, without user and port.
pub(in crate::formats) fn url_host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        assert_eq!(url_host("https://u:p@dijon.example:8443/a?b"), "dijon.example");
        assert_eq!(url_host("http://[2001:db8::1]:80/"), "2001:db8::1");
        assert_eq!(url_host("no url"), "");
    }

    #[test]
    fn tags_say_something_or_nothing() {
        assert_eq!(tag("<A>x</A><B>N/A</B><C />", "A"), Some("x"));
        assert_eq!(tag("<A>x</A><B>N/A</B><C />", "B"), None);
        assert_eq!(tag("<A>x</A><B>N/A</B><C />", "C"), None);
    }
}
