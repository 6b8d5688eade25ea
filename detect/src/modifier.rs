//! A field's modifiers, read from its key and checked against each other.

use crate::{
    encode::Encoding,
    error::Problem,
    test::{Anchor, Op, TimePart},
};

/// Modifiers read from a key, checked against each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modifiers {
    pub(crate) all: bool,
    pub(crate) neq: bool,
    pub(crate) cased: bool,
    pub(crate) exact: bool,
    pub(crate) expand: bool,
    pub(crate) anchor: Anchor,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) regex: Option<Flags>,
    pub(crate) cidr: bool,
    pub(crate) compare: Option<Op>,
    pub(crate) time: Option<TimePart>,
    pub(crate) exists: bool,
    pub(crate) fieldref: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multi_line: bool,
    pub(crate) dot_all: bool,
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
            "exists" => self.exists = self.first(name)?,
            "fieldref" => self.fieldref = true,
            "cidr" => self.cidr = self.first(name)?,
            "contains" => return self.anchor(Anchor::Contains),
            "startswith" => return self.anchor(Anchor::Starts),
            "endswith" => return self.anchor(Anchor::Ends),
            "base64" => return self.encode(Encoding::Base64, name),
            "base64offset" => return self.encode(Encoding::Base64Offset, name),
            "wide" | "utf16le" => return self.encode(Encoding::Utf16Le, name),
            "utf16be" => return self.encode(Encoding::Utf16Be, name),
            "utf16" => return self.encode(Encoding::Utf16, name),
            "windash" => return self.encode(Encoding::Windash, name),
            "re" => self.regex = self.first(name)?.then(Flags::default),
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

    /// Modifiers apply in the order written, and what changes the text leaves none for `name`;
    /// `all` and `neq` change only how values are joined.
    fn first(&self, name: &str) -> Result<bool, String> {
        if self.anchor == Anchor::Whole && self.encodings.is_empty() && !self.cased && !self.exact {
            return Ok(true);
        }
        Err(format!("{name} must stand before the modifiers that change a value"))
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
            Anchor::Contains | Anchor::Starts | Anchor::Ends => {
                !self.fieldref && self.regex.is_none()
            }
        };
        if anchored {
            return Err(format!("{kind} cannot be combined with contains, startswith or endswith"));
        }
        if self.cased && self.regex.is_none() && !self.fieldref {
            return Err(format!("{kind} cannot be combined with cased"));
        }
        if self.expand && self.regex.is_none() && !self.cidr {
            return Err(format!("{kind} cannot be combined with expand"));
        }
        Ok(())
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
}
