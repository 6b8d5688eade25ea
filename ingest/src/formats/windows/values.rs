//! Readings of Windows values that need more than a copy.

use event::fields as f;

use crate::formats::{sheet::Sheet, text};

/// `true` where this host began the connection.
pub(super) fn initiated(sheet: &mut Sheet, value: &str) {
    match value {
        "true" | "True" => sheet.put(f::NETWORK_DIRECTION, "egress"),
        "false" | "False" => sheet.put(f::NETWORK_DIRECTION, "ingress"),
        _ => {}
    }
}

/// `SourceIsIpv6` as `network.type`.
pub(super) fn network_type(sheet: &mut Sheet, value: &str) {
    let ipv6 = value.eq_ignore_ascii_case("true");
    sheet.put(f::NETWORK_TYPE, if ipv6 { "ipv6" } else { "ipv4" });
}

/// `registry.hive`, `registry.key` and, of an event about a value, `registry.value` from
/// `registry.path`.
pub(crate) fn registry_parts(sheet: &mut Sheet, has_value: bool) {
    let Some(path) = sheet.get(f::REGISTRY_PATH) else { return };
    let Some(hive) = path.find('\\') else { return };
    let (start, end) = (hive + 1, path.len());
    let value = path[start..].rfind('\\').filter(|_| has_value).map(|at| start + at);
    sheet.put_part(f::REGISTRY_HIVE, f::REGISTRY_PATH, 0..hive);
    sheet.put_part(f::REGISTRY_KEY, f::REGISTRY_PATH, start..value.unwrap_or(end));
    if let Some(value) = value {
        sheet.put_part(f::REGISTRY_VALUE, f::REGISTRY_PATH, value + 1..end);
    }
}

/// A registry path in Sysmon's form: `\REGISTRY\MACHINE\…` and `MACHINE\…` are `HKLM\…`,
/// `\REGISTRY\USER\…` and `USER\…` are `HKU\…`, and a numbered control set is the current
/// one, as most rules write it.
pub(crate) fn registry_root(path: &str) -> String {
    const ROOTS: &[(&str, &str)] = &[
        (r"\REGISTRY\MACHINE\", r"HKLM\"),
        (r"\REGISTRY\USER\", r"HKU\"),
        (r"HKEY_LOCAL_MACHINE\", r"HKLM\"),
        (r"HKEY_USERS\", r"HKU\"),
        (r"HKEY_CURRENT_USER\", r"HKCU\"),
        (r"MACHINE\", r"HKLM\"),
        (r"USER\", r"HKU\"),
    ];
    let root = ROOTS.iter().find_map(|(long, short)| {
        let head = path.get(..long.len())?;
        head.eq_ignore_ascii_case(long).then(|| (*short, &path[long.len()..]))
    });
    let (root, rest) = root.unwrap_or(("", path));
    let mut out = String::with_capacity(path.len() + 8);
    out.push_str(root);
    match control_set(rest) {
        Some((system, behind)) if !root.is_empty() => {
            out.push_str(system);
            out.push_str("CurrentControlSet");
            out.push_str(behind);
        }
        _ => out.push_str(rest),
    }
    out
}

/// `SYSTEM\` and what stands behind `ControlSet00N` in `SYSTEM\ControlSet00N\…`.
fn control_set(path: &str) -> Option<(&str, &str)> {
    const SYSTEM: &str = r"SYSTEM\";
    const SET: &str = "ControlSet00";
    let system = path.get(..SYSTEM.len()).filter(|head| head.eq_ignore_ascii_case(SYSTEM))?;
    let rest = path.get(SYSTEM.len()..)?;
    rest.get(..SET.len()).filter(|head| head.eq_ignore_ascii_case(SET))?;
    let behind = rest.get(SET.len()..)?.strip_prefix(|digit: char| digit.is_ascii_digit())?;
    (behind.is_empty() || behind.starts_with('\\')).then_some((system, behind))
}

/// Sysmon's `Details`: `DWORD (0x…)`, `QWORD (0x…-0x…)`, `Binary Data`, `(Empty)` or text.
pub(super) fn registry_details(sheet: &mut Sheet, details: &str) {
    sheet.put(f::REGISTRY_DATA_DETAILS, details);
    let number = |prefix: &str| {
        let hex = details.strip_prefix(prefix)?.strip_prefix(" (0x")?.strip_suffix(')')?;
        u64::from_str_radix(&hex.replace("-0x", ""), 16).ok()
    };
    if let Some(number) = number("DWORD") {
        sheet.put(f::REGISTRY_DATA_TYPE, "REG_DWORD");
        sheet.put(f::REGISTRY_DATA_STRINGS, &number.to_string());
    } else if let Some(number) = number("QWORD") {
        sheet.put(f::REGISTRY_DATA_TYPE, "REG_QWORD");
        sheet.put(f::REGISTRY_DATA_STRINGS, &number.to_string());
    } else if details == "Binary Data" {
        sheet.put(f::REGISTRY_DATA_TYPE, "REG_BINARY");
    } else if details != "(Empty)" {
        sheet.put(f::REGISTRY_DATA_TYPE, "REG_SZ");
        sheet.put(f::REGISTRY_DATA_STRINGS, details);
    }
}

/// The status of a DNS query: 0 and the Win32 codes that stand for DNS answers.
pub(super) fn dns_status(sheet: &mut Sheet, status: &str) {
    let code = match status {
        "0" => "NOERROR",
        "9001" => "FORMERR",
        "9002" => "SERVFAIL",
        "9003" => "NXDOMAIN",
        "9004" => "NOTIMP",
        "9005" => "REFUSED",
        _ => return,
    };
    sheet.put(f::DNS_RESPONSE_CODE, code);
}

/// `type:  5 name;::ffff:192.0.2.1;`: records with their type, then addresses.
pub(crate) fn dns_results(sheet: &mut Sheet, results: &str) {
    if sheet.has(f::DNS_ANSWERS_DATA) || sheet.has(f::DNS_RESOLVED_IP) {
        return;
    }
    sheet.put(f::DNS_TYPE, "answer");
    for answer in results.split(';').map(str::trim).filter(|answer| text::is_present(answer)) {
        let (kind, data) = dns_answer(answer);
        match text::ip(data) {
            Some(address) => {
                let kind = kind.unwrap_or(if address.is_ipv4() { "A" } else { "AAAA" });
                sheet.add(f::DNS_ANSWERS_TYPE, kind);
                sheet.add(f::DNS_ANSWERS_DATA, &address.to_string());
                sheet.add_ip(f::DNS_RESOLVED_IP, address);
            }
            None => {
                sheet.add(f::DNS_ANSWERS_TYPE, kind.unwrap_or("UNKNOWN"));
                sheet.add(f::DNS_ANSWERS_DATA, data);
            }
        }
    }
}

/// `type:  5 name` as type and data; an answer without type has none.
pub(crate) fn dns_answer(answer: &str) -> (Option<&'static str>, &str) {
    let Some(typed) = answer.strip_prefix("type:") else { return (None, answer) };
    let typed = typed.trim_start();
    let (number, data) = typed.split_once(' ').unwrap_or((typed, ""));
    (dns_type(number), data.trim())
}

/// The mnemonic of a DNS record type (IANA).
pub(crate) fn dns_type(number: &str) -> Option<&'static str> {
    Some(match number {
        "1" => "A",
        "2" => "NS",
        "5" => "CNAME",
        "6" => "SOA",
        "12" => "PTR",
        "15" => "MX",
        "16" => "TXT",
        "28" => "AAAA",
        "33" => "SRV",
        "35" => "NAPTR",
        "41" => "OPT",
        "43" => "DS",
        "46" => "RRSIG",
        "47" => "NSEC",
        "48" => "DNSKEY",
        "64" => "SVCB",
        "65" => "HTTPS",
        "251" => "IXFR",
        "252" => "AXFR",
        "255" => "ANY",
        "257" => "CAA",
        _ => return None,
    })
}

/// A logon's type, as Microsoft names it.
pub(super) fn logon_type(sheet: &mut Sheet, number: &str) {
    let name = match number.trim() {
        "0" => "System",
        "2" => "Interactive",
        "3" => "Network",
        "4" => "Batch",
        "5" => "Service",
        "7" => "Unlock",
        "8" => "NetworkCleartext",
        "9" => "NewCredentials",
        "10" => "RemoteInteractive",
        "11" => "CachedInteractive",
        "12" => "CachedRemoteInteractive",
        "13" => "CachedUnlock",
        _ => return,
    };
    sheet.put(f::WINLOG_LOGON_TYPE, name);
}

/// `FailureReason` of a failed logon, as Windows renders it.
pub(super) fn failure_reason(sheet: &mut Sheet, reason: &str) {
    let text = match reason {
        "%%2304" => "An Error occured during Logon.",
        "%%2305" => "The specified user account has expired.",
        "%%2306" => "The NetLogon component is not active.",
        "%%2307" => "Account locked out.",
        "%%2308" => "The user has not been granted the requested logon type at this machine.",
        "%%2309" => "The specified account's password has expired.",
        "%%2310" => "Account currently disabled.",
        "%%2311" => "Account logon time restriction violation.",
        "%%2312" => "User not allowed to logon at this computer.",
        "%%2313" => "Unknown user name or bad password.",
        _ => return,
    };
    sheet.put(f::EVENT_REASON, text);
}

/// `SubStatus` of a failed logon, in the words of Microsoft's page about event 4625.
pub(super) fn logon_failure(sheet: &mut Sheet, status: &str) {
    let text = match status.to_ascii_lowercase().as_str() {
        "0xc000005e" => "No logon servers are available to service the logon request",
        "0xc0000064" => "User logon with misspelled or bad user account",
        "0xc000006a" => "User logon with misspelled or bad password",
        "0xc000006d" => "The cause is either a bad username or authentication information",
        "0xc000006e" => "An account restriction has prevented successful authentication",
        "0xc000006f" => "User logon outside authorized hours",
        "0xc0000070" => "User logon from unauthorized workstation",
        "0xc0000071" => "User logon with expired password",
        "0xc0000072" => "User logon to account disabled by administrator",
        "0xc00000dc" => "The server was in the wrong state to perform the desired operation",
        "0xc0000133" => "Clocks between DC and other computer too far out of sync",
        "0xc000015b" => "The user has not been granted the requested logon type at this machine",
        "0xc0000193" => "User logon with expired account",
        "0xc0000224" => "User is required to change password at next logon",
        "0xc0000234" => "User logon with account locked",
        "0xc0000413" => "The machine is protected by an authentication firewall",
        _ => return,
    };
    sheet.put(f::WINLOG_LOGON_FAILURE_SUB_STATUS, text);
}

/// `%%14592`/`%%14593` of the filtering platform.
pub(super) fn wfp_direction(sheet: &mut Sheet, value: &str) {
    match value {
        "%%14592" | "Inbound" => sheet.put(f::NETWORK_DIRECTION, "ingress"),
        "%%14593" | "Outbound" => sheet.put(f::NETWORK_DIRECTION, "egress"),
        _ => {}
    }
}

/// An IP protocol number (IANA) as `network.transport`.
pub(super) fn transport(sheet: &mut Sheet, number: &str) {
    let name = match number {
        "1" => "icmp",
        "2" => "igmp",
        "6" => "tcp",
        "17" => "udp",
        "47" => "gre",
        "50" => "esp",
        "51" => "ah",
        "58" => "ipv6-icmp",
        "132" => "sctp",
        _ => return,
    };
    sheet.put(f::NETWORK_TRANSPORT, name);
}

/// Defender's `file:_C:\x;process:_pid:4`: the first file.
pub(super) fn defender_path(sheet: &mut Sheet, path: &str) {
    for part in path.split(';') {
        let file = part
            .trim()
            .strip_prefix("file:_")
            .or_else(|| part.trim().strip_prefix("containerfile:_"))
            .map(|file| file.split("->").next().unwrap_or(file));
        if let Some(file) = file {
            crate::formats::mapping::Op::File.run(sheet, file);
            return;
        }
    }
}

/// The command line that hosts a PowerShell engine, and its program's name.
pub(super) fn host_application(sheet: &mut Sheet, command_line: &str) {
    sheet.put(f::PROCESS_COMMAND_LINE, command_line);
    let program = match command_line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => match command_line.to_ascii_lowercase().find(".exe") {
            Some(at) => command_line.get(..at + 4).unwrap_or_default(),
            None => command_line.split(' ').next().unwrap_or_default(),
        },
    };
    let name = text::basename(program);
    if name.to_ascii_lowercase().ends_with(".exe") {
        sheet.put(f::PROCESS_NAME, name);
        if program.len() > name.len() {
            sheet.put(f::PROCESS_EXECUTABLE, program);
        }
    }
}

/// The `Name = value` lines of PowerShell's context, in English, French or German.
pub(super) fn powershell_context(sheet: &mut Sheet, context: &str) {
    for line in context.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        match name {
            "Host Application" | "HostApplication" | "Application hôte" | "Hostanwendung" => {
                host_application(sheet, value);
            }
            "Host Name" | "HostName" | "Nom d’hôte" | "Hostname" => {
                sheet.put(f::PROCESS_TITLE, value);
            }
            "User" | "UserId" | "Utilisateur" | "Benutzer" => {
                crate::formats::mapping::USER.put(sheet, value);
            }
            "Script Name" | "ScriptName" | "Nom du script" | "Skriptname" => {
                crate::formats::mapping::Op::File.run(sheet, value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_paths_take_sysmon_roots() {
        for (from, to) in [
            (r"\REGISTRY\MACHINE\SOFTWARE\X", r"HKLM\SOFTWARE\X"),
            (
                r"MACHINE\SYSTEM\ControlSet001\Services\x",
                r"HKLM\SYSTEM\CurrentControlSet\Services\x",
            ),
            (r"\Registry\User\S-1-5-21\x", r"HKU\S-1-5-21\x"),
            (r"HKLM\SOFTWARE", r"HKLM\SOFTWARE"),
            ("MACHINEé", "MACHINEé"),
        ] {
            assert_eq!(registry_root(from), to);
        }
    }

    #[test]
    fn dns_answers_have_types() {
        assert_eq!(dns_answer("type:  5 a.example"), (Some("CNAME"), "a.example"));
        assert_eq!(dns_answer("::ffff:192.0.2.1"), (None, "::ffff:192.0.2.1"));
        assert_eq!(dns_answer("type: 65"), (Some("HTTPS"), ""));
    }
}
