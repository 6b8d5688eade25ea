//! The header that syslog puts before a message, in RFC 5424's form and in those that pass for
//! RFC 3164.

use crate::formats::declared::record::Record;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Adds what the header of `text` says as `syslog.*`, and gives the message behind it. Text
/// without a header comes back whole.
pub(super) fn read<'t>(text: &'t str, record: &mut Record<'_, 't>) -> &'t str {
    let text = text.trim_start_matches(['\u{feff}', ' ']);
    let mut rest = text;
    let mut has_priority = false;
    if let Some((priority, behind)) = priority(text) {
        record.add_text("syslog.priority", priority);
        rest = behind;
        has_priority = true;
        if let Some(message) = rfc5424(rest, record) {
            return message;
        }
    }
    let rest = rest.trim_start_matches(' ');
    match timestamp(rest) {
        Some((time, behind)) => {
            record.add_text("syslog.timestamp", time.trim_end_matches(':'));
            host_and_tag(behind, record)
        }
        None if has_priority => tag(rest, record).unwrap_or(rest),
        None => text,
    }
}

/// `<134>`.
fn priority(text: &str) -> Option<(&str, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    let valid = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (valid && digits.parse::<u16>().is_ok_and(|number| number <= 191)).then_some((digits, rest))
}

/// Behind the priority: `1 TIME HOST APP PROCID MSGID SD MESSAGE`.
fn rfc5424<'t>(text: &'t str, record: &mut Record<'_, 't>) -> Option<&'t str> {
    let (version, mut rest) = text.split_once(' ')?;
    if version.is_empty() || version.len() > 2 || !version.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut words = [""; 5];
    for word in &mut words {
        (*word, rest) = rest.trim_start_matches(' ').split_once(' ').or_else(|| {
            // The last word may end the line.
            (!rest.is_empty()).then_some((rest, ""))
        })?;
    }
    for (name, word) in ["timestamp", "hostname", "appname", "procid", "msgid"].iter().zip(words) {
        if word != "-" {
            record.add_text(&format!("syslog.{name}"), word);
        }
    }
    let rest = rest.trim_start_matches(' ');
    let message = match rest.strip_prefix('-') {
        Some(message) if message.is_empty() || message.starts_with(' ') => message,
        _ => structured(rest, record),
    };
    Some(message.trim_start_matches([' ', '\u{feff}']))
}

/// `[id name="value" …]…`, and what is behind it.
fn structured<'t>(text: &'t str, record: &mut Record<'_, 't>) -> &'t str {
    let mut rest = text;
    while let Some(inside) = rest.strip_prefix('[') {
        let Some((id, mut params)) =
            inside.find([' ', ']']).and_then(|at| inside.split_at_checked(at))
        else {
            return rest;
        };
        let id = id.split('@').next().unwrap_or_default();
        loop {
            params = params.trim_start_matches(' ');
            if let Some(behind) = params.strip_prefix(']') {
                rest = behind;
                break;
            }
            let Some((name, behind)) = params.split_once("=\"") else { return rest };
            let mut from = 0;
            let end = loop {
                let Some(quote) = behind.get(from..).and_then(|part| part.find('"')) else {
                    return rest;
                };
                let quote = from + quote;
                let slashes = behind[..quote].bytes().rev().take_while(|b| *b == b'\\').count();
                if slashes % 2 == 0 {
                    break quote;
                }
                from = quote + 1;
            };
            record.add_text(&format!("syslog.sd.{id}.{name}"), &behind[..end]);
            params = &behind[end + 1..];
        }
    }
    rest
}

/// `Oct  9 22:33:20`, with a year or fractions where devices add them, or RFC 3339.
fn timestamp(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let is_date = bytes.len() > 18
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T';
    if is_date {
        return text.split_at_checked(text.find(' ')?);
    }
    let month = text.get(..3)?;
    if !MONTHS.contains(&month) || bytes.get(3) != Some(&b' ') {
        return None;
    }
    // Day, an optional year, and the clock.
    let mut at = 3;
    for _ in 0..3 {
        at += text.get(at..)?.len() - text.get(at..)?.trim_start_matches(' ').len();
        let word = text.get(at..)?.split(' ').next()?;
        at += word.len();
        if word.contains(':') {
            return text.split_at_checked(at);
        }
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    None
}

/// Behind the time: `HOST TAG: MESSAGE`, each of which some senders leave out.
fn host_and_tag<'t>(text: &'t str, record: &mut Record<'_, 't>) -> &'t str {
    let text = text.trim_start_matches([' ', ':']);
    if let Some(message) = tag(text, record) {
        return message;
    }
    let Some((host, rest)) = text.split_once(' ') else { return text };
    if !is_host(host) {
        return text;
    }
    record.add_text("syslog.hostname", host.trim_end_matches(':'));
    let rest = rest.trim_start_matches(' ');
    tag(rest, record).unwrap_or(rest)
}

fn is_host(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'))
}

/// `sshd[812]: ` or `kernel: `; the message behind it.
fn tag<'t>(text: &'t str, record: &mut Record<'_, 't>) -> Option<&'t str> {
    let (word, message) = text.split_once(": ").or_else(|| Some((text.strip_suffix(':')?, "")))?;
    let (name, pid) = match word.strip_suffix(']').and_then(|word| word.split_once('[')) {
        Some((name, pid)) => (name, Some(pid)),
        None => (word, None),
    };
    let is_name = !name.is_empty()
        && name.len() <= 64
        && !name.starts_with('%')
        && !matches!(name, "CEF" | "LEEF")
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'|' | b'{' | b'<'));
    if !is_name {
        return None;
    }
    record.add_text("syslog.appname", name);
    if let Some(pid) = pid {
        record.add_text("syslog.procid", pid);
    }
    Some(message.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::declared::record::{Keys, text_of};

    fn header(text: &str) -> String {
        let keys = Keys::default();
        let mut record = Record::new(&keys);
        let message = read(text, &mut record);
        let mut out: Vec<String> = record
            .unread()
            .into_iter()
            .map(|(key, value)| format!("{}={}", &key[7..], text_of(value).unwrap_or_default()))
            .collect();
        out.push(message.to_owned());
        out.join(";")
    }

    #[test]
    fn headers_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("plain text: here", "plain text: here"),
            (
                "<13>Mar  1 03:00:00 ws-17 sshd[812]: hi",
                "priority=13;timestamp=Mar  1 03:00:00;hostname=ws-17;appname=sshd;procid=812;hi",
            ),
            (
                "Mar 1 03:00:00 ws-17 kernel: x: y",
                "timestamp=Mar 1 03:00:00;hostname=ws-17;appname=kernel;x: y",
            ),
            (
                "<134>1 2026-03-01T03:00:00Z fw - - - - date=1",
                "priority=134;timestamp=2026-03-01T03:00:00Z;hostname=fw;date=1",
            ),
            (
                "<134>1 - h a 1 m [x@1 a=\"b\\\"]\" c=\"d\"] m=1",
                "priority=134;hostname=h;appname=a;procid=1;msgid=m;sd.x.a=b\\\"];sd.x.c=d;m=1",
            ),
            ("<189>date=2026-03-01 time=03:00:00", "priority=189;date=2026-03-01 time=03:00:00"),
            (
                "<189>Oct 11 2026 22:14:15: %ASA-6-1: x",
                "priority=189;timestamp=Oct 11 2026 22:14:15;%ASA-6-1: x",
            ),
            (
                "<14>Sep 16 10:00:02 PA-1 1,9/16/19 10:00,x",
                "priority=14;timestamp=Sep 16 10:00:02;hostname=PA-1;1,9/16/19 10:00,x",
            ),
            ("<134>CEF:0|a|b", "priority=134;CEF:0|a|b"),
            ("<192>x", "<192>x"),
            ("<13>", "priority=13;"),
            ("<13>1 ", "priority=13;1 "),
        ] {
            assert_eq!(header(text), expected, "{text}");
        }
    }
}
