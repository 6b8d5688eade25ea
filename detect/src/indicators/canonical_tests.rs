use super::*;

fn canonical(kind: IndicatorType, value: &str) -> Result<String, String> {
    let mut out = Vec::new();
    key(kind, value, &mut out).map(|()| shown(&out))
}

#[test]
fn spellings_of_one_value_are_one_key() {
    use IndicatorType::*;
    let sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    for (kind, value, expected) in [
        (Ip, " 192.0.2.7 ", "192.0.2.7"),
        (Ip, "192.0.2.7/24", "192.0.2.0/24"),
        (Ip, "::ffff:192.0.2.7", "192.0.2.7"),
        (Ip, "::ffff:192.0.2.7/120", "192.0.2.0/24"),
        (Ip, "2001:DB8:0::1", "2001:db8::1"),
        (Ip, "2001:db8::1/32", "2001:db8::/32"),
        (Domain, "EVIL.Example.", "evil.example"),
        (Domain, "événement.example", "xn--vnement-9xab.example"),
        (Domain, "xn--VNEMENT-9xab.example", "xn--vnement-9xab.example"),
        (Domain, "_dmarc.evil.example", "_dmarc.evil.example"),
        (Url, "HTTPS://user:pw@Evil.Example:443/a/../b?q=%c3%a9#top", "evil.example/b?q=%C3%A9"),
        (Url, "http://evil.example", "evil.example/"),
        (Url, "evil.example/%7Euser", "evil.example/~user"),
        (Url, "evil.example:8080/x", "evil.example:8080/x"),
        (Url, "ftp://evil.example/x", "ftp://evil.example/x"),
        (Url, "http://[2001:DB8::1]/x", "[2001:db8::1]/x"),
        (Url, "http://0xC0.0.2.1/x", "192.0.2.1/x"),
        (Hash, "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709", sha1),
        (Certificate, "DA:39:A3:EE:5E:6B:4B:0D:32:55:BF:EF:95:60:18:90:AF:D8:07:09", sha1),
        (Email, "Mauvais <Faux.Compte@EVIL.example>", "faux.compte@evil.example"),
        (Email, "mailto:x@évil.example", "x@xn--vil-9la.example"),
        (UserAgent, " BadBot/1.0 (x) ", "BadBot/1.0 (x)"),
        (FileName, "C:\\Temp\\Évil.EXE", "évil.exe"),
    ] {
        assert_eq!(canonical(kind, value).as_deref(), Ok(expected), "{kind} {value}");
        // What is shown is what it is.
        assert_eq!(canonical(kind, expected).as_deref(), Ok(expected), "{kind} {expected}");
    }
}

#[test]
fn what_is_no_value_of_its_type_is_refused_with_the_reason() {
    use IndicatorType::*;
    for (kind, value, reason) in [
        (Ip, "300.1.1.1", "is no address"),
        (Ip, "0.0.0.0/0", "too wide"),
        (Ip, "::/3", "too wide"),
        (Ip, "192.0.2.0/33", "is no address"),
        (Domain, "localhost", "two labels"),
        (Domain, "192.0.2.1", "no domain"),
        (Domain, "evil..example", "no domain"),
        (Domain, "ev il.example", "no domain"),
        (Url, "/relative", "no URL"),
        (Url, "http://", "no URL"),
        (Hash, "abcd", "32, 40, 64"),
        (Hash, "zz39a3ee5e6b4b0d3255bfef95601890afd80709", "no hash"),
        (Ja3, "da39a3ee5e6b4b0d3255bfef95601890afd80709", "32 hexadecimal"),
        (Email, "no at", "no e-mail"),
        (FileName, "C:\\Temp\\", "no file"),
        (UserAgent, "  ", "empty"),
    ] {
        let refused = canonical(kind, value).unwrap_err();
        assert!(refused.contains(reason), "{kind} {value}: {refused}");
    }
    assert!(canonical(UserAgent, &"x".repeat(5_000)).unwrap_err().contains("at most 4096"));
}

#[test]
fn addresses_are_read_as_logs_write_them() {
    for (text, expected) in [
        ("fe80::1%eth0", Some("fe80::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("::ffff:10.0.0.1", Some("10.0.0.1")),
        ("localhost", None),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(address(text), expected.map(|ip| ip.parse().unwrap()), "{text}");
    }
}
