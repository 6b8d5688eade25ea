//! What a query means: names resolved to fields, values to conditions.
//!
//! A [`Plan`] is answered twice over, by the index ([`super::compile`]) and by looking at an
//! event ([`super::matches`]); the two must agree on every event.

use std::net::IpAddr;

use event::{EventId, FieldId, Timestamp, fields};

use super::{
    HuntError,
    ast::{Ast, Edge, FieldName, Test, Value},
    glob::Glob,
    pattern::Pattern,
    range::{Bounds, Net, time_bounds},
};
use crate::index::{
    fold::{fold, words},
    schema::TEXTS,
};

/// Conditions that walk through dictionaries.
const WALKS_MAX: usize = 64;
/// Words in one phrase.
const PHRASE_WORDS_MAX: usize = 256;
/// Under these names every vendor key can occur, so an unknown one is no mistake.
const OPEN_NAMESPACES: &[&str] = &["winlog.", "sentinelone.", "pradeo.", "mtd.", "jacquemart."];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    All,
    Nothing,
    And(Vec<Plan>),
    Or(Vec<Plan>),
    Not(Box<Plan>),
    Leaf(Leaf),
}

/// A condition on an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    /// A value of the field, folded, is this.
    Whole { field: FieldId, folded: String },
    /// A value of the text field has these words, one after another.
    Words { field: FieldId, words: Vec<String> },
    /// A value of the field, folded, fits; or one word of it, where the field is text.
    Fits { field: FieldId, glob: Glob },
    /// A value of the field, folded, has a part that the expression matches.
    Matches { field: FieldId, regex: Pattern },
    /// The field has a value.
    Exists { field: FieldId },
    /// A value of the field lies within.
    Within { field: FieldId, bounds: Bounds },
    /// `@timestamp` or `event.ingested` lies within, in ns, both ends included.
    Time { field: FieldId, from: i64, to: i64 },
    /// It is this event.
    Id(EventId),
    /// A text field has the words, or any field's value, folded, is the text.
    Anywhere { words: Vec<String>, folded: String },
    /// Any value fits, or a word of a text field.
    FitsAnywhere { glob: Glob },
}

/// A plan and what to tell about it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) warnings: Vec<String>,
}

/// Gives `ast` its meaning.
pub(crate) fn plan(ast: &Ast) -> Result<Planned, HuntError> {
    let mut planner = Planner { warnings: Vec::new(), walks: 0, folded_names: None };
    let plan = planner.plan(ast)?;
    Ok(Planned { plan, warnings: planner.warnings })
}

/// The field of a name that is given by itself; `None` where no event is known to have it.
pub(crate) fn field_named(name: &str) -> Result<Option<FieldId>, HuntError> {
    let mut planner = Planner { warnings: Vec::new(), walks: 0, folded_names: None };
    planner.named(name).map_err(|Unknown { shown, nearest }| HuntError::Field {
        reason: match nearest {
            Some(field) => format!("there is no such field; did you mean {}?", field.name()),
            None => "there is no such field".to_owned(),
        },
        name: shown,
    })
}

/// No field has such a name.
struct Unknown {
    /// The name, not too long.
    shown: String,
    /// What was likely meant.
    nearest: Option<FieldId>,
}

/// Whether `field` is indexed by words.
pub(crate) fn is_text(field: FieldId) -> bool {
    TEXTS.contains(&field)
}

struct Planner {
    warnings: Vec<String>,
    walks: usize,
    /// Every known name, lowered, with its field.
    folded_names: Option<Vec<(String, FieldId)>>,
}

fn at(column: usize, reason: impl Into<String>) -> HuntError {
    HuntError::Query { column, reason: reason.into() }
}

impl Planner {
    fn plan(&mut self, ast: &Ast) -> Result<Plan, HuntError> {
        Ok(match ast {
            Ast::All => Plan::All,
            Ast::And(all) => Plan::And(self.each(all)?),
            Ast::Or(any) => Plan::Or(self.each(any)?),
            Ast::Not(inner) => Plan::Not(self.plan(inner)?.into()),
            Ast::Test { field: None, test, column } => self.anywhere(test, *column)?,
            Ast::Test { field: Some(name), test, column } => match self.resolve(name)? {
                Some(field) => self.on_field(field, test, *column)?,
                None => Plan::Nothing,
            },
        })
    }

    fn each(&mut self, all: &[Ast]) -> Result<Vec<Plan>, HuntError> {
        all.iter().map(|ast| self.plan(ast)).collect()
    }

    /// The field of a name, in whatever case it is written; `None` where it could exist but no
    /// event is known to have it.
    fn resolve(&mut self, written: &FieldName) -> Result<Option<FieldId>, HuntError> {
        match self.named(&written.name) {
            Ok(Some(field)) => Ok(Some(field)),
            Ok(None) => {
                let shown: String = written.name.chars().take(80).collect();
                self.warnings.push(format!("no event is known to have a field {shown}"));
                Ok(None)
            }
            Err(Unknown { shown, nearest }) => {
                let hint = match nearest {
                    Some(field) => format!("did you mean {}?", field.name()),
                    None => "to search for the text itself, put it in quotes".to_owned(),
                };
                Err(at(written.column, format!("there is no field {shown:?}; {hint}")))
            }
        }
    }

    fn named(&mut self, written: &str) -> Result<Option<FieldId>, Unknown> {
        if let Some(field) = FieldId::lookup(written) {
            return Ok(Some(field));
        }
        let names = self.folded_names.get_or_insert_with(|| {
            let lookup = |name: &str| FieldId::lookup(name).map(|id| (name.to_lowercase(), id));
            FieldId::all_names().into_iter().filter_map(lookup).collect()
        });
        let lowered = written.to_lowercase();
        if let Some((_, field)) = names.iter().find(|(name, _)| *name == lowered) {
            return Ok(Some(*field));
        }
        if OPEN_NAMESPACES.iter().any(|namespace| lowered.starts_with(namespace)) {
            return Ok(None);
        }
        let nearest = names
            .iter()
            .filter(|(name, _)| name.len() < 2 * lowered.len() + 8 && lowered.len() <= 128)
            .map(|(name, field)| (strsim::jaro_winkler(name, &lowered), field))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let nearest = nearest.map(|(_, field)| *field);
        Err(Unknown { shown: written.chars().take(80).collect(), nearest })
    }

    fn walk(&mut self, column: usize) -> Result<(), HuntError> {
        self.walks += 1;
        if self.walks > WALKS_MAX {
            return Err(at(
                column,
                format!("the query has more than {WALKS_MAX} wildcards, ranges and networks"),
            ));
        }
        Ok(())
    }

    fn glob(&mut self, value: &Value, column: usize) -> Result<Glob, HuntError> {
        self.walk(column)?;
        Glob::new(value).map_err(|reason| at(column, reason))
    }

    fn phrase(text: &str, column: usize) -> Result<Vec<String>, HuntError> {
        let words = words(text);
        if words.len() > PHRASE_WORDS_MAX {
            return Err(at(
                column,
                format!("a phrase has at most {PHRASE_WORDS_MAX} words, this one {}", words.len()),
            ));
        }
        Ok(words)
    }

    fn anywhere(&mut self, test: &Test, column: usize) -> Result<Plan, HuntError> {
        let value = match test {
            Test::Value(value) => value,
            Test::Range { .. } => {
                return Err(at(column, "a range needs a field, as in process.pid:[1 TO 9]"));
            }
            Test::Regex(_) => {
                return Err(at(
                    column,
                    "a regular expression needs a field, as in process.command_line =~ \"…\"",
                ));
            }
        };
        if value.is_any() {
            return Ok(Plan::All);
        }
        let Some(text) = value.literal() else {
            return Ok(Plan::Leaf(Leaf::FitsAnywhere { glob: self.glob(value, column)? }));
        };
        let words = Self::phrase(text, column)?;
        let folded = fold(text);
        if words.is_empty() && folded.is_empty() {
            return Err(at(column, "there is nothing between these quotes to search for"));
        }
        if words.is_empty() {
            self.walk(column)?;
            return Ok(Plan::Leaf(Leaf::FitsAnywhere { glob: Glob::containing(&folded) }));
        }
        self.walk(column)?;
        Ok(Plan::Leaf(Leaf::Anywhere { words, folded }))
    }

    fn on_field(&mut self, field: FieldId, test: &Test, column: usize) -> Result<Plan, HuntError> {
        match field {
            fields::TIMESTAMP | fields::EVENT_INGESTED => return on_time(field, test, column),
            fields::EVENT_ID => return on_id(test, column),
            fields::EVENT_ORIGINAL => {
                self.warnings.push(
                    "event.original is searched only of records that could not be decoded"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let value = match test {
            Test::Range { low, high } => return self.range(field, low, high, column),
            Test::Regex(_) if field == fields::EVENT_ORIGINAL => {
                return Err(at(column, "event.original is searched by its words alone"));
            }
            Test::Regex(text) => {
                self.walk(column)?;
                let regex = Pattern::new(text).map_err(|reason| at(column, reason))?;
                return Ok(Plan::Leaf(Leaf::Matches { field, regex }));
            }
            Test::Value(value) => value,
        };
        if value.is_any() {
            self.walk(column)?;
            return Ok(Plan::Leaf(Leaf::Exists { field }));
        }
        let Some(text) = value.literal() else {
            return Ok(Plan::Leaf(Leaf::Fits { field, glob: self.glob(value, column)? }));
        };
        if is_text(field) && !text.is_empty() {
            let words = Self::phrase(text, column)?;
            if words.is_empty() {
                self.walk(column)?;
                let glob = Glob::containing(&fold(text));
                return Ok(Plan::Leaf(Leaf::Fits { field, glob }));
            }
            return Ok(Plan::Leaf(Leaf::Words { field, words }));
        }
        if let Some(net) = net_of(field, value, text) {
            self.walk(column)?;
            return Ok(Plan::Leaf(Leaf::Within { field, bounds: Bounds::Net(net) }));
        }
        Ok(Plan::Leaf(Leaf::Whole { field, folded: fold(text) }))
    }

    fn range(
        &mut self,
        field: FieldId,
        low: &Option<Edge>,
        high: &Option<Edge>,
        column: usize,
    ) -> Result<Plan, HuntError> {
        self.walk(column)?;
        Ok(Plan::Leaf(match Bounds::new(low.as_ref(), high.as_ref()) {
            Some(bounds) => Leaf::Within { field, bounds },
            None => Leaf::Exists { field },
        }))
    }
}

/// The network that `text` names; a single address only on a field of addresses, where it is
/// compared as an address however it is spelled.
fn net_of(field: FieldId, value: &Value, text: &str) -> Option<Net> {
    if value.quoted {
        return None;
    }
    if text.contains('/') {
        return Net::parse(text);
    }
    let is_address =
        field.name() == "ip" || field.name().ends_with(".ip") || field.name().ends_with("_ip");
    let address: IpAddr = is_address.then(|| text.parse().ok()).flatten()?;
    Some(Net::single(address))
}

fn on_time(field: FieldId, test: &Test, column: usize) -> Result<Plan, HuntError> {
    let refuse = |text: &str| {
        let shown: String = text.chars().take(80).collect();
        at(column, format!("{shown:?} is no time; write it as 2026-01-31 or 2026-01-31T08:00:00Z"))
    };
    let (low, high) = match test {
        Test::Value(value) if value.is_any() => return Ok(Plan::All),
        Test::Value(value) => {
            let text = value.literal().ok_or_else(|| refuse("a pattern"))?;
            let edge = Edge { text: text.to_owned(), inclusive: true };
            (Some(edge.clone()), Some(edge))
        }
        Test::Range { low, high } => (low.clone(), high.clone()),
        Test::Regex(_) => {
            return Err(at(column, format!("{} is a time; search a range of it", field.name())));
        }
    };
    let (from, to) = time_bounds(low.as_ref(), high.as_ref()).map_err(|text| refuse(&text))?;
    if from > to {
        return Ok(Plan::Nothing);
    }
    if (from, to) == (Timestamp::MIN.as_nanos(), Timestamp::MAX.as_nanos()) {
        return Ok(Plan::All);
    }
    Ok(Plan::Leaf(Leaf::Time { field, from, to }))
}

fn on_id(test: &Test, column: usize) -> Result<Plan, HuntError> {
    match test {
        Test::Value(value) if value.is_any() => Ok(Plan::All),
        Test::Value(value) => match value.literal() {
            Some(text) => Ok(text
                .trim()
                .to_lowercase()
                .parse()
                .map_or(Plan::Nothing, |id| Plan::Leaf(Leaf::Id(id)))),
            None => Err(at(column, "event.id is searched as a whole, without wildcards")),
        },
        Test::Range { .. } => Err(at(column, "event.id has no order to search a range in")),
        Test::Regex(_) => Err(at(column, "event.id is searched as a whole")),
    }
}
