//! What a field's modifiers make of one value: `Field|contains: value` as tests.

use std::sync::Arc;

use regex::RegexBuilder;

use crate::{
    detection::Context,
    encode,
    error::Problem,
    expr::Target,
    modifier::{Flags, Modifiers},
    pattern::{Part, Pattern, parse_wildcards},
    pcre,
    placeholder::Piece,
    test::{Anchor, Cidr, FieldRef, Num, Number, Op, Test},
    yaml::{Node, Scalar},
};

/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Wildcards in one value.
const WILDCARDS_MAX: usize = 256;
/// Bytes that a compiled regular expression takes. Repeated Unicode classes are large: `\w{1,64}`
/// alone takes more than a mebibyte.
const REGEX_BYTES_MAX: usize = REGEX_MIB_MAX << 20;
const REGEX_MIB_MAX: usize = 8;
/// Nesting within a regular expression.
const REGEX_DEPTH_MAX: u32 = 64;

impl Modifiers {
    /// The tests that `node`, one value, becomes; it is met where any of them is.
    pub(crate) fn apply(
        &self,
        node: &Node,
        keyword: bool,
        context: &Context<'_>,
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
        if scalar.is_null() {
            return self.null(keyword).map_err(problem);
        }
        if self.exists {
            return match scalar.as_bool() {
                Some(wanted) => Ok(vec![Test::Exists(wanted)]),
                None => Err(problem("exists takes true or false".to_owned())),
            };
        }
        if self.fieldref {
            return self.field_ref(scalar, context.resolve).map(|test| vec![test]).map_err(problem);
        }
        if self.compare.is_some() || self.time.is_some() {
            return self.numeric(scalar).map(|test| vec![test]).map_err(problem);
        }
        if let Some(test) = self.typed(scalar, keyword) {
            return Ok(vec![test]);
        }
        let own = [vec![Piece::Own(scalar.text.clone())]];
        let forms = scalar.forms.as_deref().unwrap_or(&own);
        let mut tests = Vec::with_capacity(forms.len());
        for form in forms {
            if let Some(flags) = self.regex {
                tests.push(self.pattern(form, flags, line, context)?);
            } else if self.cidr {
                let text: String = form.iter().map(Piece::text).collect();
                tests.push(Test::Cidr(Cidr::parse(&text).map_err(problem)?));
            } else {
                tests.extend(self.text(form, keyword, line, context)?);
            }
        }
        Ok(tests)
    }

    fn null(&self, keyword: bool) -> Result<Vec<Test>, String> {
        let is_changed = self.anchor != Anchor::Whole
            || !self.encodings.is_empty()
            || self.regex.is_some()
            || self.compare.is_some()
            || self.time.is_some()
            || [self.cidr, self.exists, self.fieldref, self.cased, self.exact].contains(&true);
        if keyword {
            return Err("null cannot be searched for everywhere; give it a field".to_owned());
        }
        if is_changed {
            return Err(
                "null takes no modifier but all and neq; write '' for the empty text".to_owned()
            );
        }
        Ok(vec![Test::Null])
    }

    /// A number or truth value that is compared as such: bare, and neither changed nor sought
    /// within a value.
    fn typed(&self, scalar: &Scalar, keyword: bool) -> Option<Test> {
        let is_text = self.anchor != Anchor::Whole
            || !self.encodings.is_empty()
            || self.regex.is_some()
            || self.cidr;
        if keyword || !scalar.plain || is_text {
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

    fn text(
        &self,
        form: &[Piece],
        keyword: bool,
        line: u32,
        context: &Context<'_>,
    ) -> Result<Vec<Test>, Problem> {
        let parts: Vec<Part> = match self.exact {
            true => form.iter().map(|piece| Part::Lit(piece.text().to_owned())).collect(),
            false => form.iter().flat_map(|piece| parse_wildcards(piece.text())).collect(),
        };
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
                // What the most multiplying of them, windash, may make of it.
                let bytes = form.iter().map(encode::Piece::len).sum::<usize>();
                context
                    .take_text(bytes * encode::forms_max(*encoding))
                    .map_err(|reason| Problem::new(line, reason))?;
                next.extend(encode::encode(form, *encoding, line)?);
            }
            forms = next;
        }
        // A keyword may stand anywhere in a value unless its modifiers say where.
        let loose = keyword && self.anchor == Anchor::Whole && !self.exact;
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

    /// A regular expression is searched for, which is what `contains` means; `startswith` and
    /// `endswith` tie it to an end of the value.
    fn pattern(
        &self,
        form: &[Piece],
        flags: Flags,
        line: u32,
        context: &Context<'_>,
    ) -> Result<Test, Problem> {
        let mut text = String::new();
        for piece in form {
            match piece {
                Piece::Own(own) => text
                    .push_str(&pcre::translate(own).map_err(|reason| Problem::new(line, reason))?),
                Piece::Listed(value) => text.push_str(&pcre::of_wildcards(&parse_wildcards(value))),
            }
        }
        match self.anchor {
            Anchor::Starts => text = format!(r"\A(?:{text})"),
            Anchor::Ends => text = format!(r"(?:{text})\z"),
            Anchor::Whole | Anchor::Contains => {}
        }
        regex(&text, flags, line, context)
    }
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Self::Own(text) | Self::Listed(text) => text,
        }
    }
}

/// Nearly all are small, so each is tried within a mebibyte of what the rule may take, and a larger
/// one pays for all that it may take.
fn regex(text: &str, flags: Flags, line: u32, context: &Context<'_>) -> Result<Test, Problem> {
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
    let build = |mebibytes: usize| {
        RegexBuilder::new(&spelled)
            .size_limit(mebibytes << 20)
            .dfa_size_limit(1 << 20)
            .nest_limit(REGEX_DEPTH_MAX)
            .build()
    };
    let take =
        |mebibytes| context.take_regex(mebibytes).map_err(|reason| Problem::new(line, reason));
    take(1)?;
    let mut built = build(1);
    if let Err(regex::Error::CompiledTooBig(_)) = built {
        take(REGEX_MIB_MAX - 1)?;
        built = build(REGEX_MIB_MAX);
    }
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
