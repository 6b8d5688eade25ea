//! Query parameters.

use std::{fmt::Display, str::FromStr, time::Duration};

use axum::{extract::Query, http::Uri};
use event::Timestamp;

use crate::{
    nearest::hint,
    problem::{Problem, shown},
};

/// The most objects on a page.
pub(crate) const LIMIT_MAX: usize = 1_000;

/// The parameters of a request, all of them known to its route and each given once.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of `uri`; refuses what is not in `known` and what is given twice.
    pub(crate) fn parse(uri: &Uri, known: &[&'static str]) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::parameter("", format!("the query can't be read: {error}")))?;
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let (name, hint) = (shown(name), hint(name, known));
                return Err(Problem::parameter(
                    &name,
                    format!("{name:?} is no parameter of this path; {hint}"),
                ));
            }
            if pairs[..index].iter().any(|(other, _)| other == name) {
                return Err(Problem::parameter(
                    name,
                    format!("{name} is given twice; several values go into one, with commas"),
                ));
            }
        }
        Ok(Self(pairs))
    }

    /// The text of `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name`.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let read = |text: &str| {
            text.parse().map_err(|error| Problem::parameter(name, format!("{name}: {error}")))
        };
        self.text(name).map(read).transpose()
    }

    /// The words of `name`, between commas, each one of `known`.
    pub(crate) fn words<T: Copy>(
        &self,
        name: &str,
        known: &[T],
        spelling: impl Fn(T) -> &'static str,
    ) -> Result<Vec<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(Vec::new()) };
        let mut words = Vec::new();
        for word in text.split(',').take(known.len() + 1) {
            let found = known.iter().copied().find(|value| spelling(*value) == word);
            words.push(found.ok_or_else(|| {
                let spellings: Vec<_> = known.iter().map(|value| spelling(*value)).collect();
                let (word, hint) = (shown(word), hint(word, &spellings));
                Problem::parameter(name, format!("{name}: {word:?} is unknown; {hint}"))
            })?);
        }
        Ok(words)
    }

    /// The time of `name`, RFC 3339.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &str| {
            Timestamp::parse(text).ok_or_else(|| {
                Problem::parameter(
                    name,
                    format!(
                        "{name}: {:?} is no RFC 3339 time, e.g. 2026-01-31T08:00:00Z (a + in an \
                         offset is written %2B in a URL)",
                        shown(text)
                    ),
                )
            })
        };
        self.text(name).map(read).transpose()
    }

    /// The span of `name`, e.g. `90s`, `15m`, `24h`, `7d`, `2w`.
    pub(crate) fn span(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let read = |text: &str| {
            span(text).ok_or_else(|| {
                let text = shown(text);
                Problem::parameter(
                    name,
                    format!("{name}: {text:?} is no span; use e.g. 90s, 15m, 24h, 7d or 2w"),
                )
            })
        };
        self.text(name).map(read).transpose()
    }

    /// How many objects were asked for; 0, which the store takes for its own default, where
    /// nothing was.
    pub(crate) fn limit(&self, max: usize) -> Result<usize, Problem> {
        match self.text("limit").map(str::parse) {
            None => Ok(0),
            Some(Ok(limit)) if (1..=max).contains(&limit) => Ok(limit),
            Some(_) => {
                Err(Problem::parameter("limit", format!("limit is a whole number from 1 to {max}")))
            }
        }
    }

    /// The cursor of a page before.
    pub(crate) fn cursor(&self) -> Option<String> {
        self.text("cursor").map(str::to_owned)
    }
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Names of one list, then those of another, where both are known when this is compiled.
pub(crate) const fn joined<const A: usize, const B: usize, const N: usize>(
    first: [&'static str; A],
    then: [&'static str; B],
) -> [&'static str; N] {
    assert!(A + B == N, "as many as there are");
    let mut all = [""; N];
    let mut place = 0;
    while place < N {
        all[place] = if place < A { first[place] } else { then[place - A] };
        place += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, Problem> {
        Params::parse(&format!("/x?{query}").parse().unwrap(), &["a", "limit"])
    }

    #[test]
    fn spans_are_whole_numbers_with_a_unit() {
        assert_eq!(span("24h"), Some(Duration::from_hours(24)));
        assert_eq!(span("0s"), Some(Duration::ZERO));
        for bad in ["", "h", "24", "-1h", "+1h", "1.5h", "1é", "99999999999999999w", "é"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        assert_eq!(params("a=1%2C2&limit=3").unwrap().text("a"), Some("1,2"));
        assert!(format!("{:?}", params("limt=3").unwrap_err()).contains("did you mean"));
        assert!(format!("{:?}", params("a=1&a=2").unwrap_err()).contains("twice"));
        for bad in ["0", "1001", "-1", "x", ""] {
            assert!(params(&format!("limit={bad}")).unwrap().limit(1_000).is_err(), "{bad}");
        }
    }
}
