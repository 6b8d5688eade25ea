//! Which fields of an event are compared with which indicators.

use event::{FieldId, IndicatorType};

/// How a field's values are read; several may apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading(u16);

impl Reading {
    pub(super) const NONE: Self = Self(0);
    /// An address; also a domain where it is no address.
    pub(super) const HOST: Self = Self(1);
    pub(super) const URL: Self = Self(1 << 1);
    pub(super) const HASH: Self = Self(1 << 2);
    pub(super) const EMAIL: Self = Self(1 << 3);
    /// An e-mail address of somebody who sends: its domain is compared too.
    pub(super) const SENDER: Self = Self(1 << 4);
    pub(super) const USER_AGENT: Self = Self(1 << 5);
    pub(super) const CERTIFICATE: Self = Self(1 << 6);
    pub(super) const FILE_NAME: Self = Self(1 << 7);
    pub(super) const JA3: Self = Self(1 << 8);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn only(self, wanted: Self) -> Self {
        Self(self.0 & wanted.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The readings that can find an indicator of `kind`.
    pub(super) const fn of(kind: IndicatorType) -> Self {
        match kind {
            IndicatorType::Ip => Self::HOST.and(Self::URL),
            IndicatorType::Domain => Self::HOST.and(Self::URL).and(Self::SENDER),
            IndicatorType::Url => Self::URL,
            IndicatorType::Hash => Self::HASH,
            IndicatorType::Email => Self::EMAIL,
            IndicatorType::UserAgent => Self::USER_AGENT,
            IndicatorType::Certificate => Self::CERTIFICATE,
            IndicatorType::FileName => Self::FILE_NAME,
            IndicatorType::Ja3 => Self::JA3,
        }
    }
}

/// ECS fields by how they are read. `host.ip` and `threat.indicator.*` are left out on purpose:
/// the one is the machine's own, the other is what a vendor already called bad.
const FIELDS: &[(Reading, &[&str])] = &[
    (
        Reading::HOST,
        &[
            "source.ip",
            "source.address",
            "source.domain",
            "source.nat.ip",
            "destination.ip",
            "destination.address",
            "destination.domain",
            "destination.nat.ip",
            "client.ip",
            "client.address",
            "client.domain",
            "client.nat.ip",
            "server.ip",
            "server.address",
            "server.domain",
            "server.nat.ip",
            "network.forwarded_ip",
            "dns.question.name",
            "dns.answers.name",
            "dns.answers.data",
            "dns.resolved_ip",
            "url.domain",
            "tls.client.server_name",
            "related.ip",
            "related.hosts",
        ],
    ),
    (Reading::URL, &["url.original", "url.full", "http.request.referrer", "event.url"]),
    (Reading::HASH, &["related.hash", "package.checksum"]),
    (
        Reading::EMAIL.and(Reading::SENDER),
        &["email.from.address", "email.sender.address", "email.reply_to.address"],
    ),
    (
        Reading::EMAIL,
        &[
            "email.to.address",
            "email.cc.address",
            "email.bcc.address",
            "source.user.email",
            "destination.user.email",
            "user.email",
        ],
    ),
    (Reading::USER_AGENT, &["user_agent.original"]),
    (
        Reading::FILE_NAME,
        &[
            "file.name",
            "process.name",
            "process.parent.name",
            "process.pe.original_file_name",
            "dll.name",
            "email.attachments.file.name",
        ],
    ),
    (Reading::JA3, &["tls.client.ja3", "tls.server.ja3s"]),
];

/// Objects of ECS with a `hash` of a file.
const HASHED: &[&str] = &[
    "file",
    "process",
    "process.parent",
    "dll",
    "email.attachments.file",
    "process.group_leader",
    "process.session_leader",
    "process.entry_leader",
];

/// Objects of ECS with a `hash` of a certificate.
const CERTIFIED: &[&str] = &["tls.server", "tls.client"];

/// Objects of ECS with a `code_signature`.
const SIGNED: &[&str] = &["file", "process", "process.parent", "dll"];

/// A table by [`FieldId::index`] of how each field is read; those past its end are not.
///
/// Every name is interned here, so a field that is first seen later is none of them.
pub(super) fn table() -> Vec<Reading> {
    let mut table = Vec::new();
    let mut add = |name: &str, reading: Reading| {
        if let Some(field) = FieldId::intern(name) {
            let len = table.len().max(field.index() + 1);
            table.resize(len, Reading::NONE);
            table[field.index()] = table[field.index()].and(reading);
        }
    };
    for (reading, names) in FIELDS {
        for name in *names {
            add(name, *reading);
        }
    }
    for (objects, reading) in [(HASHED, Reading::HASH), (CERTIFIED, Reading::CERTIFICATE)] {
        for object in objects {
            for algorithm in ["md5", "sha1", "sha256"] {
                add(&format!("{object}.hash.{algorithm}"), reading);
            }
        }
    }
    for object in SIGNED {
        add(&format!("{object}.code_signature.thumbprint_sha256"), Reading::CERTIFICATE);
    }
    table
}

/// The names of the fields that `kind` is compared with, sorted.
pub fn fields_of(kind: IndicatorType) -> Vec<&'static str> {
    let wanted = Reading::of(kind);
    let table = table();
    let mut names: Vec<_> = FieldId::all_names()
        .into_iter()
        .filter(|name| {
            let field = FieldId::lookup(name).and_then(|field| table.get(field.index()));
            field.is_some_and(|reading| reading.has(wanted))
        })
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_fields() {
        for kind in IndicatorType::ALL {
            assert!(!fields_of(*kind).is_empty(), "{kind}");
        }
        assert!(fields_of(IndicatorType::Hash).contains(&"process.parent.hash.sha256"));
        assert!(!fields_of(IndicatorType::Ip).contains(&"host.ip"));
        assert!(fields_of(IndicatorType::Domain).contains(&"email.from.address"));
    }
}
