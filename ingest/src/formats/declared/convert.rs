//! Readings of a value: each takes text and gives none, one or several texts.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use regex::Regex;

use super::{
    document::{Entry, Problems, meant, nearest},
    url,
};
use crate::formats::text;

/// A lookup table; keys are compared whatever the case of ASCII letters.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    pub(super) rows: HashMap<Box<str>, Box<str>>,
    /// What `*` stands for.
    pub(super) fallback: Option<Box<str>>,
}

impl Lookup {
    fn get(&self, key: &str) -> Option<&str> {
        let found = match key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.rows.get(key.to_ascii_lowercase().as_str()),
            false => self.rows.get(key),
        };
        found.or(self.fallback.as_ref()).map(AsRef::as_ref)
    }
}

/// Tables by name.
pub(super) type Lookups = HashMap<String, Arc<Lookup>>;

/// One reading.
#[derive(Debug, Clone)]
pub(super) enum Convert {
    Lower,
    Upper,
    Trim,
    Basename,
    Dirname,
    Extension,
    AccountName,
    AccountDomain,
    MailAddress,
    MailUser,
    MailDomain,
    Mac,
    /// A whole number, as decimal digits, also of `0x…`.
    Whole,
    Hex,
    /// A whole number, where it is not 0.
    NotZero,
    /// Passes where it is an address; in its canonical form.
    Ip,
    /// Passes where it is no address.
    NotIp,
    /// Passes where it is a digest of so many hexadecimal digits.
    Digest(usize),
    Url(url::Part),
    /// A count of this many nanoseconds each.
    Duration(i64),
    /// `hh:mm:ss`, or days before it.
    Clock,
    Strip(Box<str>),
    Before(Box<str>),
    After(Box<str>),
    BeforeLast(Box<str>),
    AfterLast(Box<str>),
    Prefix(Box<str>),
    Split(Box<str>),
    /// The arguments of a command line.
    Args,
    Capture(Regex),
    Replace(Box<str>, Box<str>),
    Times(i64),
    Table(Arc<Lookup>),
    /// Gone where it is one of these.
    Unless(Vec<Box<str>>),
}

/// Names for `as`.
const NAMED: &[(&str, Convert)] = &[
    ("lower", Convert::Lower),
    ("upper", Convert::Upper),
    ("trim", Convert::Trim),
    ("basename", Convert::Basename),
    ("dirname", Convert::Dirname),
    ("extension", Convert::Extension),
    ("account_name", Convert::AccountName),
    ("account_domain", Convert::AccountDomain),
    ("mail_address", Convert::MailAddress),
    ("mail_user", Convert::MailUser),
    ("mail_domain", Convert::MailDomain),
    ("mac", Convert::Mac),
    ("args", Convert::Args),
    ("whole", Convert::Whole),
    ("hex", Convert::Hex),
    ("not_zero", Convert::NotZero),
    ("ip", Convert::Ip),
    ("not_ip", Convert::NotIp),
    ("md5", Convert::Digest(32)),
    ("sha1", Convert::Digest(40)),
    ("sha256", Convert::Digest(64)),
    ("sha512", Convert::Digest(128)),
    ("url_scheme", Convert::Url(url::Part::Scheme)),
    ("url_domain", Convert::Url(url::Part::Domain)),
    ("url_port", Convert::Url(url::Part::Port)),
    ("url_path", Convert::Url(url::Part::Path)),
    ("url_query", Convert::Url(url::Part::Query)),
    ("url_fragment", Convert::Url(url::Part::Fragment)),
    ("duration_s", Convert::Duration(1_000_000_000)),
    ("duration_ms", Convert::Duration(1_000_000)),
    ("duration_us", Convert::Duration(1_000)),
    ("duration_clock", Convert::Clock),
];

/// Keys of a mapping that are readings with a parameter.
pub(super) const WITH_PARAMETER: &[&str] = &[
    "as",
    "table",
    "strip",
    "before",
    "after",
    "before_last",
    "after_last",
    "prefix",
    "split",
    "capture",
    "replace",
    "times",
    "unless",
];

impl Convert {
    /// The readings that `entry` of a mapping names. Names in `as` that `other` knows are not
    /// meant here.
    pub(super) fn read(
        entry: &Entry<'_, '_>,
        lookups: &Lookups,
        other: &mut dyn FnMut(&str) -> bool,
        problems: &mut Problems<'_>,
        into: &mut Vec<Self>,
    ) {
        let text = |problems: &mut Problems<'_>| entry.node.text(entry.key, problems).into();
        into.push(match entry.key {
            "as" => {
                for name in entry.node.texts("as", problems) {
                    match NAMED.iter().find(|(known, _)| *known == name) {
                        Some((_, convert)) => into.push(convert.clone()),
                        None if other(&name) => {}
                        None => {
                            let names =
                                NAMED.iter().map(|(name, _)| *name).chain(super::mapping::AS);
                            let meant = meant(nearest(&name, names));
                            problems.add(
                                entry.node.at,
                                format!("there is no converter {name:?}{meant}"),
                            );
                        }
                    }
                }
                return;
            }
            "table" => {
                let name = entry.node.text("table", problems);
                match lookups.get(&name) {
                    Some(table) => Self::Table(Arc::clone(table)),
                    None => {
                        let meant = meant(nearest(&name, lookups.keys().map(String::as_str)));
                        problems.add(entry.node.at, format!("there is no table {name:?}{meant}"));
                        return;
                    }
                }
            }
            "strip" => Self::Strip(text(problems)),
            "before" => Self::Before(text(problems)),
            "after" => Self::After(text(problems)),
            "before_last" => Self::BeforeLast(text(problems)),
            "after_last" => Self::AfterLast(text(problems)),
            "prefix" => Self::Prefix(text(problems)),
            "split" => Self::Split(text(problems)),
            "unless" => {
                let texts = entry.node.texts("unless", problems);
                Self::Unless(texts.into_iter().map(Into::into).collect())
            }
            "capture" => match Regex::new(&entry.node.text("capture", problems)) {
                Ok(regex) if regex.captures_len() == 2 => Self::Capture(regex),
                Ok(_) => {
                    problems.add(entry.node.at, "capture takes a pattern with one group");
                    return;
                }
                Err(error) => {
                    problems.add(entry.node.at, format!("the regular expression is bad: {error}"));
                    return;
                }
            },
            "replace" => match entry.node.texts("replace", problems).as_slice() {
                [from, to] if !from.is_empty() => {
                    Self::Replace(from.as_str().into(), to.as_str().into())
                }
                _ => {
                    problems.add(entry.node.at, "replace takes [what, with what]");
                    return;
                }
            },
            "times" => match entry.node.as_i64() {
                Some(factor) => Self::Times(factor),
                None => {
                    problems.add(entry.node.at, "times takes a whole number");
                    return;
                }
            },
            _ => return,
        });
    }

    /// Applies it to each of `values`.
    pub(super) fn apply<'v>(&self, values: Vec<Cow<'v, str>>) -> Vec<Cow<'v, str>> {
        let mut out = Vec::with_capacity(values.len());
        for value in values {
            match self {
                Self::Split(by) => out.extend(
                    value
                        .split(&**by)
                        .map(str::trim)
                        .filter(|part| text::is_present(part))
                        .map(|part| Cow::Owned(part.to_owned())),
                ),
                Self::Args => out.extend(args(&value).into_iter().map(Cow::Owned)),
                Self::MailAddress => out.extend(mail_addresses(&value).map(Cow::Owned)),
                _ => out.extend(self.one(value)),
            }
        }
        out
    }

    fn one<'v>(&self, value: Cow<'v, str>) -> Option<Cow<'v, str>> {
        match self {
            Self::Lower => Some(match value.bytes().any(|byte| byte.is_ascii_uppercase()) {
                true => Cow::Owned(value.to_ascii_lowercase()),
                false => value,
            }),
            Self::Upper => Some(Cow::Owned(value.to_ascii_uppercase())),
            Self::Mac => mac(&value).map(Cow::Owned),
            Self::Hex => text::whole(&value).map(|number| Cow::Owned(format!("{number:#x}"))),
            Self::Whole => whole(&value).map(|number| Cow::Owned(number.to_string())),
            Self::NotZero => text::whole(&value).is_some_and(|number| number != 0).then_some(value),
            Self::Ip => text::ip(&value).map(|address| Cow::Owned(address.to_string())),
            Self::NotIp => text::ip(&value).is_none().then_some(value),
            Self::Digest(len) => {
                let hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
                (hex && value.len() == *len).then(|| Cow::Owned(value.to_ascii_lowercase()))
            }
            Self::Duration(unit) => nanos(&value, *unit).map(|n| Cow::Owned(n.to_string())),
            Self::Clock => clock(&value).map(|n| Cow::Owned(n.to_string())),
            Self::Times(factor) => {
                let number = whole(&value)?.checked_mul(*factor)?;
                Some(Cow::Owned(number.to_string()))
            }
            Self::Prefix(prefix) => Some(Cow::Owned(format!("{prefix}{value}"))),
            Self::Replace(from, to) => Some(match value.contains(&**from) {
                true => Cow::Owned(value.replace(&**from, to)),
                false => value,
            }),
            Self::Table(table) => table.get(&value).map(|found| Cow::Owned(found.to_owned())),
            Self::Unless(texts) => {
                let refused = texts.iter().any(|text| value.eq_ignore_ascii_case(text));
                (!refused).then_some(value)
            }
            Self::Split(_) | Self::MailAddress | Self::Args => Some(value),
            part => match value {
                Cow::Borrowed(text) => part.slice(text).map(Cow::Borrowed),
                Cow::Owned(text) => part.slice(&text).map(|part| Cow::Owned(part.to_owned())),
            },
        }
    }

    /// The readings that give a part of the text.
    fn slice<'v>(&self, value: &'v str) -> Option<&'v str> {
        match self {
            Self::Trim => Some(value.trim()),
            Self::Basename => Some(text::basename(value)),
            Self::Dirname => text::dirname(value),
            Self::Extension => text::extension(value),
            Self::AccountName => Some(text::account(value).1),
            Self::AccountDomain => text::account(value).0,
            Self::MailUser => Some(value.split_once('@').map_or(value, |(user, _)| user)),
            Self::MailDomain => value.rsplit_once('@').map(|(_, domain)| domain),
            Self::Url(part) => url::part(value, *part),
            Self::Strip(chars) => Some(value.trim_matches(|c| chars.contains(c))),
            Self::Before(by) => Some(value.split_once(&**by).map_or(value, |(before, _)| before)),
            Self::After(by) => value.split_once(&**by).map(|(_, after)| after),
            Self::BeforeLast(by) => {
                Some(value.rsplit_once(&**by).map_or(value, |(before, _)| before))
            }
            Self::AfterLast(by) => Some(value.rsplit_once(&**by).map_or(value, |(_, after)| after)),
            Self::Capture(regex) => Some(regex.captures(value)?.get(1)?.as_str()),
            _ => Some(value),
        }
    }
}

/// A whole number, also where it is written with a fraction of zeros or separators.
fn whole(value: &str) -> Option<i64> {
    let value = value.trim();
    text::whole(value).or_else(|| {
        let (whole, fraction) = value.split_once('.')?;
        fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())?
    })
}

/// A count of `unit` nanoseconds, with or without a fraction.
fn nanos(value: &str, unit: i64) -> Option<i64> {
    let value = value.trim();
    match value.parse::<i64>() {
        Ok(number) => number.checked_mul(unit),
        Err(_) => {
            let number = value.parse::<f64>().ok()?;
            // A double keeps whole numbers up to 2^53; durations are far below.
            let nanos = (number * unit as f64).round();
            (nanos.abs() < 9.0e15).then_some(nanos as i64)
        }
    }
}

/// `[days ]hh:mm:ss`.
fn clock(value: &str) -> Option<i64> {
    let mut seconds = 0i64;
    for part in value.trim().split([':', ' ', 'd', 'h', 'm', 's']).filter(|part| !part.is_empty()) {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    seconds.checked_mul(1_000_000_000)
}

/// `AA-BB-CC-DD-EE-FF`, as ECS writes it.
pub(super) fn mac(value: &str) -> Option<String> {
    let digits: String = value
        .chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_uppercase())
        .collect();
    let separators = value.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '-' | '.'));
    if !separators || digits.len() != 12 {
        return None;
    }
    let pairs: Vec<&str> = (0..6).filter_map(|n| digits.get(n * 2..n * 2 + 2)).collect();
    Some(pairs.join("-"))
}

/// The arguments of a command line, the program first; quotes hold spaces and are left out.
fn args(line: &str) -> Vec<String> {
    const ARGS_MAX: usize = 256;
    let mut args = Vec::new();
    let mut arg = String::new();
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ' | '\t', None) if !arg.is_empty() && args.len() < ARGS_MAX => {
                args.push(std::mem::take(&mut arg));
            }
            (' ' | '\t', None) if args.len() < ARGS_MAX => {}
            _ => arg.push(c),
        }
    }
    if !arg.is_empty() {
        args.push(arg);
    }
    args
}

/// The addresses in `Name <a@b>, c@d`.
fn mail_addresses(value: &str) -> impl Iterator<Item = String> {
    value
        .split([',', ';', ' ', '<', '>', '"', '\'', '(', ')', '[', ']', '\t', '\r', '\n'])
        .map(|word| word.strip_prefix("mailto:").unwrap_or(word))
        .filter(|word| {
            word.split_once('@').is_some_and(|(user, domain)| {
                !user.is_empty() && !domain.is_empty() && !domain.contains('@')
            })
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(convert: &Convert, value: &str) -> Vec<String> {
        convert.apply(vec![Cow::Borrowed(value)]).into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn readings_say_what_they_promise() {
        for (convert, value, expected) in [
            (Convert::Mac, "aa:bb:cc:00:11:22", &["AA-BB-CC-00-11-22"][..]),
            (Convert::Mac, "aabb.cc00.1122", &["AA-BB-CC-00-11-22"]),
            (Convert::Mac, "10.0.0.1", &[]),
            (
                Convert::MailAddress,
                "Ann <a@x.example>, b@y.example",
                &["a@x.example", "b@y.example"],
            ),
            (Convert::MailAddress, "nobody", &[]),
            (Convert::Duration(1_000_000_000), "1.5", &["1500000000"]),
            (Convert::Duration(1_000_000), "20", &["20000000"]),
            (Convert::Duration(1), "99999999999999999999", &[]),
            (Convert::Clock, "01:02:03", &["3723000000000"]),
            (
                Convert::Digest(32),
                "D41D8CD98F00B204E9800998ECF8427E",
                &["d41d8cd98f00b204e9800998ecf8427e"],
            ),
            (Convert::Digest(40), "d41d8cd98f00b204e9800998ecf8427e", &[]),
            (Convert::Split(",".into()), "a, b,,-", &["a", "b"]),
            (Convert::Strip("[]".into()), "[x]", &["x"]),
            (Convert::After("@".into()), "x", &[]),
            (Convert::Before("@".into()), "x@y", &["x"]),
            (Convert::MailDomain, "x@y", &["y"]),
            (Convert::NotIp, "192.0.2.1", &[]),
            (Convert::Ip, "::ffff:192.0.2.1", &["192.0.2.1"]),
            (Convert::Whole, "0x10", &["16"]),
            (Convert::Args, "\"C:\\a b\" -x  'y z'", &["C:\\a b", "-x", "y z"]),
            (Convert::Unless(vec!["N/A".into()]), "n/a", &[]),
        ] {
            assert_eq!(apply(&convert, value), expected, "{convert:?} of {value:?}");
        }
    }
}
