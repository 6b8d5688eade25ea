//! How often, roughly, a value of some fields has a text: what witnesses are chosen by.
//!
//! Only speed depends on it. The words are those that any Windows machine writes all day; a
//! text is as rare as its rarest word, and an unknown word is the rarer the longer it is.

use event::{FieldId, fields};

use super::witness::Kind;

/// Words and how many of a hundred values (paths, command lines, registry keys, scripts) have
/// them.
const WORDS: &[(&str, u8)] = &[
    ("windows", 80),
    ("system32", 70),
    ("exe", 70),
    ("dll", 50),
    ("microsoft", 50),
    ("system", 60),
    ("software", 40),
    ("program", 40),
    ("files", 40),
    ("users", 30),
    ("appdata", 15),
    ("local", 25),
    ("roaming", 8),
    ("temp", 10),
    ("svchost", 30),
    ("services", 20),
    ("service", 20),
    ("hklm", 60),
    ("hku", 20),
    ("hkcu", 5),
    ("currentversion", 40),
    ("currentcontrolset", 40),
    ("control", 20),
    ("classes", 15),
    ("explorer", 20),
    ("powershell", 20),
    ("cmd", 10),
    ("conhost", 8),
    ("lsass", 15),
    ("rundll32", 5),
    ("device", 30),
    ("harddiskvolume", 30),
    ("registry", 30),
    ("machine", 30),
    ("authority", 40),
    ("nt", 50),
    ("true", 40),
    ("false", 40),
    ("null", 10),
    ("http", 10),
    ("https", 8),
    ("www", 5),
    ("com", 15),
    ("name", 30),
    ("value", 30),
    ("parameter", 20),
    ("object", 20),
    ("new", 20),
    ("get", 20),
    ("set", 20),
    ("type", 20),
    ("user", 30),
    ("account", 25),
    ("domain", 25),
    ("security", 25),
    ("x86", 10),
    ("x64", 10),
    ("syswow64", 10),
    ("driver", 8),
    ("drivers", 8),
    ("config", 8),
    ("data", 15),
    ("path", 20),
    ("process", 25),
    ("version", 15),
    ("default", 12),
    ("policies", 8),
    ("policy", 8),
    ("run", 8),
    ("file", 20),
    ("string", 12),
    ("function", 10),
    ("return", 8),
    ("param", 10),
    ("out", 8),
    ("in", 20),
    ("to", 20),
    ("of", 20),
    ("the", 20),
    ("is", 15),
    ("and", 15),
    ("add", 10),
    ("module", 10),
    ("command", 15),
    ("net", 12),
    ("io", 6),
    ("bin", 6),
    ("log", 12),
    ("logs", 5),
    ("task", 8),
    ("tasks", 5),
    ("start", 10),
    ("id", 20),
    ("s", 20),
    ("c", 60),
    ("d", 10),
    ("k", 10),
    ("p", 10),
    ("e", 10),
    ("i", 10),
    ("a", 10),
    ("f", 10),
    ("r", 10),
    ("u", 10),
    ("n", 10),
    ("t", 10),
    ("netsvcs", 8),
    ("sys", 8),
    ("ntdll", 20),
    ("kernel32", 15),
    ("kernelbase", 15),
    ("w3wp", 1),
    ("tcp", 10),
    ("udp", 8),
    ("admin", 8),
    ("administrator", 10),
    ("desktop", 8),
    ("downloads", 4),
    ("documents", 4),
    ("public", 4),
    ("programdata", 8),
    ("update", 8),
    ("google", 6),
    ("chrome", 6),
    ("edge", 5),
    ("office", 5),
    ("defender", 8),
    ("wmi", 6),
    ("wbem", 5),
    ("wmiprvse", 5),
    ("management", 15),
    ("automation", 12),
    ("host", 15),
    ("shell", 10),
    ("script", 10),
    ("scripts", 4),
    ("text", 10),
    ("key", 10),
    ("keys", 4),
    ("parameters", 10),
    ("interfaces", 5),
    ("tcpip", 4),
    ("currentuser", 4),
    ("extensions", 4),
    ("winlogon", 5),
    ("taskhostw", 4),
    ("dllhost", 5),
    ("mmc", 2),
    ("reg", 4),
    ("sc", 4),
    ("schtasks", 2),
    ("ms", 6),
    ("txt", 6),
    ("ps1", 6),
    ("vbs", 2),
    ("bat", 3),
    ("js", 3),
    ("tmp", 8),
    ("ini", 4),
    ("xml", 4),
    ("doc", 3),
    ("lnk", 4),
    ("zip", 2),
    ("msi", 2),
];

/// Whole values that many events have; the kinds of objects that Windows audits among them.
const VALUES: &[&str] = &[
    "",
    "-",
    "0",
    "1",
    "2",
    "3",
    "4",
    "true",
    "false",
    "0x0",
    "system",
    "high",
    "medium",
    "low",
    "key",
    "file",
    "process",
    "token",
    "section",
    "directory",
];

/// What names of files end in that might be taken for domains.
const FILES: &[&str] = &[
    "exe", "dll", "sys", "tmp", "ini", "xml", "doc", "docx", "lnk", "zip", "msi", "vbs", "bat",
    "js", "txt", "log", "bin", "config", "json", "cpl", "scr", "hta", "iso", "rar", "cmd", "jar",
    "inf", "dat",
];

/// Whether a network is one that addresses within an organisation are of, or holds much more.
fn is_local(network: &str) -> bool {
    const LOCAL: &[&str] =
        &["10.", "192.168.", "172.", "127.", "169.254.", "fe80:", "fc", "fd", "::"];
    let is_short = network
        .rsplit_once('/')
        .and_then(|(_, bits)| bits.parse::<u8>().ok())
        .is_some_and(|bits| bits < 8);
    is_short || LOCAL.iter().any(|begin| network.starts_with(begin))
}

/// Whether it is a number in hexadecimal that means bits or a code rather than an address.
fn is_mask(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| {
        digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Whether the text names a domain, or the end of one, rather than a file.
fn is_domain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let Some((front, last)) = text.rsplit_once('.') else { return false };
    front.len() >= 3
        && last.len() >= 2
        && last.chars().all(|c| c.is_ascii_lowercase())
        && !FILES.contains(&last)
        && text.chars().all(is_plain)
}

/// Between 0 and about 2: how often a value of the fields (empty: of all) has the text, with
/// what looking for it costs.
pub(super) fn frequency(fields: &[FieldId], kind: Kind, text: &str) -> f64 {
    let everywhere = if fields.is_empty() { 4.0 } else { 1.0 };
    let chance = match kind {
        // A field that rules ask about is there in about every other event.
        Kind::Present => 0.6,
        // Most addresses are of the place itself.
        Kind::Network if is_local(text) => 0.5,
        Kind::Network => 0.05,
        Kind::Whole if fields.contains(&fields::EVENT_CODE) => 0.06,
        // Truth values come in two kinds.
        Kind::Whole if matches!(text, "true" | "false") => 0.5,
        Kind::Whole if VALUES.contains(&text) => 0.25,
        // Masks of rights, flags and codes: a field of them has a few dozen values.
        Kind::Whole if is_mask(text) => 0.06,
        // Of all the domains that there are, one.
        Kind::Whole | Kind::Suffix if is_domain(text) => 0.002,
        Kind::Whole => rarest_word(text).max(0.01) * 0.3,
        // One of the words, and it must stand at the end.
        Kind::LastPart => rarest_word(text) * 0.2,
        Kind::Prefix | Kind::Suffix => rarest_word(text) * 0.6,
        Kind::Within => rarest_word(text) * length_of(fields) + scanning(fields, text),
    };
    (chance * everywhere).min(2.0)
}

/// How common the rarest word of the text is.
fn rarest_word(text: &str) -> f64 {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let mut rarest = 1.0_f64;
    for word in words.filter(|word| !word.is_empty()) {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        rarest =
            rarest.min(known.map_or_else(|| unknown(word.len()), |(_, p)| f64::from(*p) / 100.0));
    }
    // Several words together are rarer than the rarest of them, marks as well.
    rarest * 0.97_f64.powi(i32::try_from(text.len()).unwrap_or(i32::MAX))
}

fn unknown(len: usize) -> f64 {
    match len {
        0 | 1 => 0.5,
        2 => 0.3,
        3 => 0.1,
        4 => 0.03,
        5 => 0.015,
        6 | 7 => 0.006,
        8..=11 => 0.003,
        _ => 0.001,
    }
}

/// What one more needle costs: short ones make the search look at more bytes.
fn scanning(fields: &[FieldId], text: &str) -> f64 {
    let short = match text.len() {
        0..4 => 0.08,
        4..8 => 0.01,
        8..12 => 0.002,
        _ => 0.001,
    };
    short * length_of(fields)
}

/// How long the fields' values are, beside a path.
fn length_of(fields: &[FieldId]) -> f64 {
    if fields.iter().any(|field| is_long(*field)) { 4.0 } else { 1.0 }
}

fn is_long(field: FieldId) -> bool {
    matches!(
        field.name(),
        "message"
            | "powershell.file.script_block_text"
            | "winlog.event_data.ScriptBlockText"
            | "winlog.event_data.Payload"
            | "winlog.event_data.ContextInfo"
            | "winlog.event_data.CallTrace"
            | "winlog.event_data.Data"
            | "winlog.event_data.Message"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_make_rare_texts() {
        let of = |text| frequency(&[fields::PROCESS_COMMAND_LINE], Kind::Within, text);
        assert!(of("mimikatz") < of("windows"));
        assert!(of("\\windows\\system32\\") > of("\\windows\\temp\\"));
        assert!(of(" -enc ") > of("downloadstring"));
    }

    #[test]
    fn domains_are_rarer_than_files() {
        for domain in [".githubusercontent.com", "mega.nz", "cdn.discordapp.com", "storjshare.io"] {
            assert!(is_domain(domain), "{domain}");
        }
        for other in ["wget.exe", "\\a.com", ".dll", "1.2.3.4", "update.ps1", "github", "v1.0"] {
            assert!(!is_domain(other), "{other}");
        }
        let of = |text| frequency(&[fields::DESTINATION_DOMAIN], Kind::Suffix, text);
        assert!(of(".githubusercontent.com") < of("github.exe"));
    }

    #[test]
    fn words_are_folded_and_stand_once() {
        for (place, (word, percent)) in WORDS.iter().enumerate() {
            assert_eq!(*word, word.to_ascii_lowercase());
            assert!(*percent > 0 && *percent <= 100, "{word}");
            assert!(!WORDS[..place].iter().any(|(other, _)| other == word), "{word} twice");
        }
    }
}
