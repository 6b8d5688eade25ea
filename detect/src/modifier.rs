//! A field's modifiers: what `Field|contains|all` makes of its values.

use std::sync::Arc;

use regex::RegexBuilder;

use crate::{
    encode::{self, Encoding},
    error::Problem,
    expr::Target,
    pattern::{Part, Pattern, parse_wildcards},
    test::{Anchor, Cidr, FieldRef, Num, Number, Op, Test, TimePart},
    yaml::{Node, Scalar},
};

/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Wildcards in one value.
const WILDCARDS_MAX: usize = 256;
/// Bytes that a compiled regular expression takes.
const REGEX_BYTES_MAX: usize = 4 << 20;
/// Nesting within a regular expression.
const REGEX_DEPTH_MAX: u32 = 64;

/// Modifiers read from a key, checked against each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modifiers {
    pub(crate) all: bool,
    pub(crate) neq: bool,
    cased: bool,
    exact: bool,
    expand: bool,
    anchor: Anchor,
    encodings: Vec<Encoding>,
    regex: Option<Flags>,
    cidr: bool,
    compare: Option<Op>,
    time: Option<TimePart>,
    exists: bool,
    fieldref: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_all: bool,
}

impl Modifiers {
    /// Reads `names` (what follows the field in the key, split at `|`).
    pub(crate) fn parse<'k>(
        names: impl Iterator<Item = &'k str>,
        line: u32,
    ) -> Result<Self, Problem> {
        let mut modifiers = Self::default();
        for name in names {
            modifiers.add(name).map_err(|reason| Problem::new(line, reason))?;
        }
        modifiers.check().map_err(|reason| Problem::new(line, reason))?;
        Ok(modifiers)
    }

    fn add(&mut self, name: &str) -> Result<(), String> {
        match name {
            "all" => self.all = true,
            "neq" => self.neq = true,
            "cased" => self.cased = true,
            "exact" => self.exact = true,
            "expand" => self.expand = true,
            "exists" => self.exists = true,
            "fieldref" => self.fieldref = true,
            "cidr" => self.cidr = true,
            "contains" => return self.anchor(Anchor::Contains),
            "startswith" => return self.anchor(Anchor::Starts),
            "endswith" => return self.anchor(Anchor::Ends),
            "base64" => return self.encode(Encoding::Base64, name),
            "base64offset" => return self.encode(Encoding::Base64Offset, name),
            "wide" | "utf16le" => return self.encode(Encoding::Utf16Le, name),
            "utf16be" => return self.encode(Encoding::Utf16Be, name),
            "utf16" => return self.encode(Encoding::Utf16, name),
            "windash" => return self.encode(Encoding::Windash, name),
            "re" => self.regex = Some(Flags::default()),
            "i" | "ignorecase" => self.flag(name)?.ignore_case = true,
            "m" | "multiline" => self.flag(name)?.multi_line = true,
            "s" | "dotall" => self.flag(name)?.dot_all = true,
            "lt" => return self.compare(Op::Lt),
            "lte" => return self.compare(Op::Lte),
            "gt" => return self.compare(Op::Gt),
            "gte" => return self.compare(Op::Gte),
            "minute" => return self.time(TimePart::Minute),
            "hour" => return self.time(TimePart::Hour),
            "day" => return self.time(TimePart::Day),
            "week" => return self.time(TimePart::Week),
            "month" => return self.time(TimePart::Month),
            "year" => return self.time(TimePart::Year),
            _ => {
                return Err(format!(
                    "unknown modifier {name:?}; Sigma knows all, neq, exists, cased, contains, startswith, endswith, windash, re (with i, m, s), base64, base64offset, wide, utf16, utf16le, utf16be, cidr, lt, lte, gt, gte, minute, hour, day, week, month, year, expand and fieldref"
                ));
            }
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: Anchor) -> Result<(), String> {
        if self.anchor != Anchor::Whole && self.anchor != anchor {
            return Err("of contains, startswith and endswith only one can be given".to_owned());
        }
        self.anchor = anchor;
        Ok(())
    }

    fn encode(&mut self, encoding: Encoding, name: &str) -> Result<(), String> {
        // windash varies characters in their place, so wildcards around it do not matter.
        if self.anchor != Anchor::Whole && encoding != Encoding::Windash {
            return Err(format!(
                "{name} must stand before contains, startswith or endswith, whose wildcards it would encode"
            ));
        }
        self.encodings.push(encoding);
        // Each may multiply the forms of a value.
        if self.encodings.len() > 4 {
            return Err("more than 4 encodings of one value".to_owned());
        }
        Ok(())
    }

    fn flag(&mut self, name: &str) -> Result<&mut Flags, String> {
        self.regex.as_mut().ok_or_else(|| format!("{name} must follow re"))
    }

    fn compare(&mut self, op: Op) -> Result<(), String> {
        if self.compare.replace(op).is_some() {
            return Err("of lt, lte, gt and gte only one can be given".to_owned());
        }
        Ok(())
    }

    fn time(&mut self, part: TimePart) -> Result<(), String> {
        if self.time.replace(part).is_some() {
            return Err("only one part of a time can be compared".to_owned());
        }
        Ok(())
    }

    /// Refuses what cannot be combined. A comparison has one kind: text (the default), `re`,
    /// `cidr`, numeric (`lt` and so on, `hour` and so on), `exists` or `fieldref`.
    fn check(&self) -> Result<(), String> {
        let mut kinds = Vec::new();
        if self.regex.is_some() {
            kinds.push("re");
        }
        if self.cidr {
            kinds.push("cidr");
        }
        if self.compare.is_some() || self.time.is_some() {
            kinds.push("a numeric comparison");
        }
        if self.exists {
            kinds.push("exists");
        }
        if self.fieldref {
            kinds.push("fieldref");
        }
        if let [first, second, ..] = kinds[..] {
            return Err(format!("{first} and {second} cannot be combined"));
        }
        let Some(kind) = kinds.first() else {
            return match (self.exact, self.anchor) {
                (true, Anchor::Contains | Anchor::Starts | Anchor::Ends) => {
                    Err("exact cannot be combined with contains, startswith or endswith".to_owned())
                }
                _ => Ok(()),
            };
        };
        if !self.encodings.is_empty() || self.exact {
            return Err(format!("{kind} cannot be combined with an encoding or exact"));
        }
        let anchored = match self.anchor {
            Anchor::Whole => false,
            // A regular expression is searched for, which is what contains means.
            Anchor::Contains => !self.fieldref && self.regex.is_none(),
            Anchor::Starts | Anchor::Ends => !self.fieldref,
        };
        if anchored {
            return Err(match self.regex {
                Some(_) => {
                    "re cannot be combined with startswith or endswith; use ^ or $".to_owned()
                }
                None => format!("{kind} cannot be combined with contains, startswith or endswith"),
            });
        }
        if self.cased && self.regex.is_none() && !self.fieldref {
            return Err(format!("{kind} cannot be combined with cased"));
        }
        if self.expand && self.regex.is_none() {
            return Err(format!("{kind} cannot be combined with expand"));
        }
        if self.exists && self.all {
            return Err("exists takes one value, so not all".to_owned());
        }
        Ok(())
    }

    /// Whether a keyword with these modifiers may stand anywhere in a value.
    fn is_loose(&self) -> bool {
        self.anchor == Anchor::Whole && !self.exact
    }

    /// Whether the modifiers make sense without a field.
    pub(crate) fn check_keyword(&self, line: u32) -> Result<(), Problem> {
        if self.exists || self.fieldref || self.compare.is_some() || self.time.is_some() {
            return Err(Problem::new(
                line,
                "exists, fieldref and comparisons need a field before the |",
            ));
        }
        Ok(())
    }

    /// The tests that `node`, one value, becomes; it is met where any of them is. `resolve`
    /// gives the event fields of another rule field.
    pub(crate) fn apply(
        &self,
        node: &Node,
        keyword: bool,
        resolve: &dyn Fn(&str) -> Target,
    ) -> Result<Vec<Test>, Problem> {
        let line = node.line;
        let problem = |reason: String| Problem::new(line, reason);
        let Some(scalar) = node.scalar() else {
            return Err(problem(format!(
                "a value must be text, a number, true, false or null, not {}",
                node.kind()
            )));
        };
        if scalar.text.len() > VALUE_BYTES_MAX {
            return Err(problem(format!("a value is longer than {VALUE_BYTES_MAX} bytes")));
        }
        if self.expand {
            refuse_placeholders(&scalar.text, line)?;
        }
        if scalar.is_null() {
            return self.null(keyword).map_err(problem);
        }
        if self.exists {
            return match scalar.as_bool() {
                Some(wanted) => Ok(vec![Test::Exists(wanted)]),
                None => Err(problem("exists takes true or false".to_owned())),
            };
        }
        if let Some(flags) = self.regex {
            return regex(&scalar.text, flags, line).map(|test| vec![test]);
        }
        if self.cidr {
            return Ok(vec![Test::Cidr(Cidr::parse(&scalar.text).map_err(problem)?)]);
        }
        if self.fieldref {
            return self.field_ref(scalar, resolve).map(|test| vec![test]).map_err(problem);
        }
        if self.compare.is_some() || self.time.is_some() {
            return self.numeric(scalar).map(|test| vec![test]).map_err(problem);
        }
        if let Some(test) = self.typed(scalar, keyword) {
            return Ok(vec![test]);
        }
        self.text(&scalar.text, keyword, line)
    }

    fn null(&self, keyword: bool) -> Result<Vec<Test>, String> {
        let plain = self.regex.is_none()
            && self.anchor == Anchor::Whole
            && self.encodings.is_empty()
            && !(self.cidr || self.exists || self.fieldref)
            && self.compare.is_none()
            && self.time.is_none();
        if keyword {
            return Err("null cannot be searched for everywhere; give it a field".to_owned());
        }
        if !plain {
            return Err(
                "null takes no modifier but all and neq; write '' for the empty text".to_owned()
            );
        }
        Ok(vec![Test::Null])
    }

    /// A number or truth value that is compared as such: bare, and neither changed nor sought
    /// within a value.
    fn typed(&self, scalar: &Scalar, keyword: bool) -> Option<Test> {
        if keyword || !scalar.plain || self.anchor != Anchor::Whole || !self.encodings.is_empty() {
            return None;
        }
        if let Some(b) = scalar.as_bool() {
            return Some(Test::Bool(b));
        }
        Num::parse_yaml(&scalar.text).map(|num| Test::Number(Number::new(num, &scalar.text)))
    }

    fn numeric(&self, scalar: &Scalar) -> Result<Test, String> {
        let num = Num::parse_yaml(&scalar.text)
            .ok_or_else(|| format!("{:?} is no number to compare with", scalar.text))?;
        let Some(part) = self.time else {
            return Ok(Test::Compare(self.compare.unwrap_or(Op::Eq), num));
        };
        let (least, greatest) = part.range();
        match num {
            Num::Int(n) if (i128::from(least)..=i128::from(greatest)).contains(&n) => {
                let n = i64::try_from(n).unwrap_or(greatest);
                Ok(Test::Time(part, self.compare.unwrap_or(Op::Eq), n))
            }
            _ => Err(format!(
                "{:?} is no value of that part of a time, which is a whole number from {least} to {greatest}",
                scalar.text
            )),
        }
    }

    fn field_ref(&self, scalar: &Scalar, resolve: &dyn Fn(&str) -> Target) -> Result<Test, String> {
        if scalar.text.is_empty() || scalar.text.contains(['*', '?', '|']) {
            return Err(format!("{:?} is no field's name", scalar.text));
        }
        match resolve(&scalar.text) {
            Target::Fields { ids, .. } => {
                Ok(Test::FieldRef(FieldRef { fields: ids, anchor: self.anchor, cased: self.cased }))
            }
            Target::Everything => Err("fieldref needs a field".to_owned()),
        }
    }

    fn text(&self, text: &str, keyword: bool, line: u32) -> Result<Vec<Test>, Problem> {
        let parts =
            if self.exact { vec![Part::Lit(text.to_owned())] } else { parse_wildcards(text) };
        if parts.iter().filter(|part| !matches!(part, Part::Lit(_))).count() > WILDCARDS_MAX {
            return Err(Problem::new(
                line,
                format!("a value has more than {WILDCARDS_MAX} wildcards"),
            ));
        }
        let mut forms = vec![encode::pieces(parts)];
        for encoding in &self.encodings {
            let mut next = Vec::new();
            for form in forms {
                next.extend(encode::encode(form, *encoding, line)?);
            }
            forms = next;
        }
        let loose = keyword && self.is_loose();
        let before = loose || matches!(self.anchor, Anchor::Contains | Anchor::Ends);
        let behind = loose || matches!(self.anchor, Anchor::Contains | Anchor::Starts);
        forms
            .into_iter()
            .map(|form| {
                let mut parts = Vec::new();
                if before {
                    parts.push(Part::Many);
                }
                parts.extend(encode::parts(form, line)?);
                if behind {
                    parts.push(Part::Many);
                }
                Ok(Test::Text(Pattern::new(parts, self.cased)))
            })
            .collect()
    }
}

/// `%name%` names a list that an installation would have to provide.
fn refuse_placeholders(text: &str, line: u32) -> Result<(), Problem> {
    let mut parts = text.split('%');
    parts.next();
    while let Some(name) = parts.next() {
        let closed = parts.clone().next().is_some();
        if closed
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        {
            return Err(Problem::new(
                line,
                format!(
                    "the placeholder %{name}% has no values here, as no placeholder table is configured; write the values into the rule"
                ),
            ));
        }
    }
    Ok(())
}

fn regex(text: &str, flags: Flags, line: u32) -> Result<Test, Problem> {
    // Flags go into the expression itself, so that its text says all there is to it and two
    // equal texts are one test.
    let mut spelled = String::with_capacity(text.len() + 6);
    for (set, flag) in
        [(flags.ignore_case, "(?i)"), (flags.multi_line, "(?m)"), (flags.dot_all, "(?s)")]
    {
        if set {
            spelled.push_str(flag);
        }
    }
    spelled.push_str(text);
    let built = RegexBuilder::new(&spelled)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(REGEX_DEPTH_MAX)
        .build();
    match built {
        Ok(regex) => Ok(Test::Regex(Arc::new(regex))),
        Err(regex::Error::CompiledTooBig(_)) => Err(Problem::new(
            line,
            format!(
                "the regular expression takes more than {REGEX_BYTES_MAX} bytes compiled; use smaller repetitions"
            ),
        )),
        Err(error) => {
            // The error draws the expression over several lines; the last says what it is.
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
            Err(Problem::new(
                line,
                format!(
                    "not a regular expression that Sigma allows (no look-around, no back-references): {what}"
                ),
            ))
        }
    }
}
