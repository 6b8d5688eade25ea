//! Mappings as data: which ECS fields a vendor's field fills, and how it is read.

use event::{FieldId, Namespace, fields as f};

use super::{sheet::Sheet, text};

/// How one vendor value becomes one or more ECS fields. Nothing is done with a value that
/// says nothing, and an ECS field that has a value keeps it.
#[derive(Clone, Copy)]
pub(crate) enum Op {
    /// As it is.
    Text(FieldId),
    /// In lower case: digests, states.
    Lower(FieldId),
    /// A path, and its last part.
    Path { path: FieldId, name: FieldId },
    /// A file's path with name, directory and extension.
    File,
    /// A whole number, decimal or `0x…`.
    Whole(FieldId),
    /// A process id: a whole number above 0, which stands for "none".
    Pid(FieldId),
    /// A security identifier, unless it is nobody's.
    Sid(FieldId),
    /// A port: a whole number above 0.
    Port(FieldId),
    /// An IP address.
    Ip(FieldId),
    /// An IP address, or else a host's name.
    Host { ip: FieldId, domain: FieldId },
    /// `DOMAIN\name`.
    Account(&'static Account),
    /// `SHA1=…,MD5=…`.
    Hashes(&'static Digests),
    /// A digest, told by its length.
    Digest(&'static Digests),
    /// A time in UTC.
    Time(FieldId),
    /// `true` or `false`.
    Bool(FieldId),
    /// Anything else.
    With(fn(&mut Sheet, &str)),
}

/// Fields of an account.
pub(crate) struct Account {
    pub(crate) name: FieldId,
    pub(crate) domain: Option<FieldId>,
    /// The account in one piece, as Sigma rules compare it.
    pub(crate) full: Option<FieldId>,
}

/// Fields of a file's digests.
pub(crate) struct Digests {
    pub(crate) md5: FieldId,
    pub(crate) sha1: FieldId,
    pub(crate) sha256: FieldId,
    pub(crate) imphash: Option<FieldId>,
}

/// `user.*`.
pub(crate) const USER: Account =
    Account { name: f::USER_NAME, domain: Some(f::USER_DOMAIN), full: Some(f::USER_FULL) };

/// `process.hash.*`.
pub(crate) const PROCESS_HASH: Digests = Digests {
    md5: f::PROCESS_HASH_MD5,
    sha1: f::PROCESS_HASH_SHA1,
    sha256: f::PROCESS_HASH_SHA256,
    imphash: Some(f::PROCESS_PE_IMPHASH),
};

/// `file.hash.*`.
pub(crate) const FILE_HASH: Digests = Digests {
    md5: f::FILE_HASH_MD5,
    sha1: f::FILE_HASH_SHA1,
    sha256: f::FILE_HASH_SHA256,
    imphash: Some(f::FILE_PE_IMPHASH),
};

/// `dll.hash.*`.
pub(crate) const DLL_HASH: Digests = Digests {
    md5: f::DLL_HASH_MD5,
    sha1: f::DLL_HASH_SHA1,
    sha256: f::DLL_HASH_SHA256,
    imphash: Some(f::DLL_PE_IMPHASH),
};

impl Op {
    /// Reads `value` into `sheet`.
    pub(crate) fn run(self, sheet: &mut Sheet, value: &str) {
        if !text::is_present(value) {
            return;
        }
        match self {
            Self::Text(field) => sheet.put(field, value),
            Self::Lower(field) => sheet.put_lower(field, value),
            Self::Path { path, name } => {
                sheet.put(path, value);
                sheet.put(name, text::basename(value));
            }
            Self::File => file(sheet, value),
            Self::Whole(field) => {
                if let Some(number) = text::whole(value) {
                    sheet.put_whole(field, number);
                }
            }
            Self::Pid(field) => {
                if let Some(pid @ 1..) = text::whole(value) {
                    sheet.put_whole(field, pid);
                }
            }
            Self::Sid(field) => {
                if value != "S-1-0-0" {
                    sheet.put(field, value);
                }
            }
            Self::Port(field) => {
                if let Some(port @ 1..=65_535) = text::whole(value) {
                    sheet.put_whole(field, port);
                }
            }
            Self::Ip(field) => {
                sheet.put_ip(field, value);
            }
            Self::Host { ip, domain } => {
                if !sheet.put_ip(ip, value) {
                    sheet.put(domain, value);
                }
            }
            Self::Account(account) => account.put(sheet, value),
            Self::Hashes(digests) => {
                for (algorithm, digest) in text::hashes(value) {
                    digests.put(sheet, algorithm, digest);
                }
            }
            Self::Digest(digests) => {
                if let Some(algorithm) = text::hash_kind(value) {
                    digests.put(sheet, algorithm, value);
                }
            }
            Self::Time(field) => {
                if let Some(time) = text::utc(value) {
                    sheet.put_time(field, time);
                }
            }
            Self::Bool(field) => {
                if let Ok(value) = value.trim().to_ascii_lowercase().parse() {
                    sheet.put_bool(field, value);
                }
            }
            Self::With(read) => read(sheet, value),
        }
    }
}

/// `file.*` of a path.
fn file(sheet: &mut Sheet, path: &str) {
    sheet.put(f::FILE_PATH, path);
    sheet.put(f::FILE_NAME, text::basename(path));
    if let Some(directory) = text::dirname(path) {
        sheet.put(f::FILE_DIRECTORY, directory);
    }
    if let Some(extension) = text::extension(path) {
        sheet.put(f::FILE_EXTENSION, extension);
    }
}

impl Account {
    pub(crate) fn put(&self, sheet: &mut Sheet, full: &str) {
        let (domain, name) = text::account(full);
        sheet.put(self.name, name);
        if let (Some(field), Some(domain)) = (self.domain, domain) {
            sheet.put(field, domain);
        }
        if let Some(field) = self.full {
            sheet.put(field, full);
        }
    }
}

impl Digests {
    fn put(&self, sheet: &mut Sheet, algorithm: &str, digest: &str) {
        let is = |name: &str| algorithm.eq_ignore_ascii_case(name);
        let field = if is("MD5") {
            Some(self.md5)
        } else if is("SHA1") {
            Some(self.sha1)
        } else if is("SHA256") {
            Some(self.sha256)
        } else if is("IMPHASH") && digest.bytes().any(|byte| byte != b'0') {
            // Sysmon writes zeros where a file imports nothing.
            self.imphash
        } else {
            None
        };
        if let Some(field) = field {
            sheet.put_lower(field, digest);
        }
    }
}

/// A table of vendor names and what is done with their values.
pub(crate) type Table = &'static [(&'static str, &'static [Op])];

/// [`Table`]s with their names resolved to fields, for lookup by field.
pub(crate) struct Mapping {
    ops: Box<[&'static [Op]]>,
    /// By field, from `first` on: where its operations are in `ops`, plus 1. Mappings are made
    /// one after the other at the start, so the fields of one are close to each other.
    places: Box<[u16]>,
    first: usize,
}

impl Mapping {
    /// Resolves `tables` under `namespace`; where a name stands in several, the first counts.
    pub(crate) fn new(namespace: &Namespace, tables: &[Table]) -> Self {
        Self::of(namespace, tables.iter().copied().flatten().copied())
    }

    /// The same for names that are made.
    pub(crate) fn of<'n>(
        namespace: &Namespace,
        names: impl Iterator<Item = (&'n str, &'static [Op])>,
    ) -> Self {
        let names: Vec<_> =
            names.filter_map(|(name, ops)| Some((namespace.field(name)?.index(), ops))).collect();
        let first = names.iter().map(|(field, _)| *field).min().unwrap_or(0);
        let end = names.iter().map(|(field, _)| field + 1).max().unwrap_or(0);
        let mut places = vec![0; end.saturating_sub(first)];
        let mut ops = Vec::with_capacity(names.len());
        for (field, of_field) in names {
            let place = &mut places[field - first];
            if *place == 0 {
                ops.push(of_field);
                // A table of 65,535 names would have to be written first.
                *place = u16::try_from(ops.len()).unwrap_or(0);
            }
        }
        Self { ops: ops.into(), places: places.into(), first }
    }

    /// Does what the tables say with the value of `field`.
    pub(crate) fn run(&self, sheet: &mut Sheet, field: FieldId, value: &str) {
        let place = self.places.get(field.index().wrapping_sub(self.first)).copied().unwrap_or(0);
        if let Some(ops) = usize::from(place).checked_sub(1).and_then(|place| self.ops.get(place)) {
            for op in *ops {
                op.run(sheet, value);
            }
        }
    }
}
