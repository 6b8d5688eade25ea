//! The message that Windows renders, for shippers that send nothing else of the event's data.
//!
//! Sysmon's is the same everywhere. Others are localised: the labels read here are those of
//! English hosts. A localised message stays searchable text.

use event::fields as f;

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
