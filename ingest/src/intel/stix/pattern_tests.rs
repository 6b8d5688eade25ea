use IndicatorType::*;

use super::*;

#[test]
fn patterns_that_one_value_fulfils_are_read() {
    let md5 = "00112233445566778899aabbccddeeff";
    let sha256 = format!("{md5}{md5}");
    for (pattern, expected) in [
        ("[ipv4-addr:value = '192.0.2.1']".to_owned(), vec![(Ip, "192.0.2.1")]),
        ("[ ipv4-addr:value ISSUBSET '192.0.2.0/24' ]".to_owned(), vec![(Ip, "192.0.2.0/24")]),
        (
            "[domain-name:value = 'a.example' OR domain-name:value='b.example']".to_owned(),
            vec![(Domain, "a.example"), (Domain, "b.example")],
        ),
        (
            "[url:value = 'http://a.example/it\\'s'] OR [ipv6-addr:value IN ('2001:db8::1','2001:db8::2')]"
                .to_owned(),
            vec![(Url, "http://a.example/it's"), (Ip, "2001:db8::1"), (Ip, "2001:db8::2")],
        ),
        (format!("[file:hashes.'SHA-256' = '{sha256}']"), vec![(Hash, sha256.as_str())]),
        (
            format!("[file:hashes.MD5 = '{md5}' AND file:hashes.'SHA-256' = '{sha256}' AND file:hashes.'SSDEEP' = '3:a:b']"),
            vec![(Hash, md5), (Hash, sha256.as_str())],
        ),
        (
            "([network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1'])"
                .to_owned(),
            vec![(Ip, "192.0.2.1")],
        ),
        (
            "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Bad/1']".to_owned(),
            vec![(UserAgent, "Bad/1")],
        ),
        ("[email-message:from_ref.value = 'x@a.example']".to_owned(), vec![(Email, "x@a.example")]),
        (format!("[x509-certificate:hashes.'MD5' = '{md5}']"), vec![(Certificate, md5)]),
        (
            "[(domain-name:value = 'a.example') OR (file:name = 'b.exe')]".to_owned(),
            vec![(Domain, "a.example"), (FileName, "b.exe")],
        ),
        ("[domain-name:resolves_to_refs[*].value = '192.0.2.9']".to_owned(), vec![(Ip, "192.0.2.9")]),
    ] {
        let found = values(&pattern);
        let found = found.as_deref().map(|found| {
            found.iter().map(|(kind, value)| (*kind, value.as_str())).collect::<Vec<_>>()
        });
        assert_eq!(found, Ok(expected), "{pattern}");
    }
}

#[test]
fn other_patterns_are_refused_with_the_reason() {
    for (pattern, reason) in [
        ("[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]", "several values"),
        ("[file:name = 'a' AND file:hashes.MD5 = 'b']", "several values"),
        ("[file:hashes.MD5 = 'a' AND file:hashes.MD5 = 'b']", "several values"),
        ("[(url:value = 'a' OR url:value = 'b') AND url:value = 'c']", "AND joins alternatives"),
        ("[url:value = 'a'] AND [url:value = 'b']", "more than one event"),
        ("[url:value = 'a'] FOLLOWEDBY [url:value = 'b']", "more than one event"),
        ("[url:value = 'a'] WITHIN 5 SECONDS", "qualifier WITHIN"),
        ("[url:value LIKE 'http://a%']", "operator LIKE"),
        ("[url:value != 'a']", "operator !="),
        ("[url:value NOT = 'a']", ""),
        ("[url:value MATCHES '^a']", "operator MATCHES"),
        ("[file:hashes.'SHA-512' = 'a']", "SHA-512"),
        ("[mutex:name = 'a']", "mutex:name is not compared"),
        ("[url:value = 'a", "not closed"),
        ("[url:value]", ""),
        ("url:value = 'a'", "begins with"),
        ("[EXISTS url:value]", "EXISTS"),
        ("", "begins with"),
        ("[url:value = 'a'] ]", "not expected"),
    ] {
        let refused = values(pattern).unwrap_err();
        assert!(refused.contains(reason), "{pattern}: {refused}");
    }
    let deep = format!("[{}url:value = 'a'{}]", "(".repeat(10_000), ")".repeat(10_000));
    assert!(values(&deep).unwrap_err().contains("deeper"));
}

proptest::proptest! {
    #[test]
    fn no_pattern_panics(text in "[\\[\\]()a-z:='\\\\ .ORAND*é]{0,60}", any in proptest::prelude::any::<String>()) {
        let _ = values(&text);
        let _ = values(&any);
    }
}
