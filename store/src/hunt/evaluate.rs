//! Which documents of a segment answer a plan.
//!
//! Each condition gives a set of documents, and sets are combined as the plan says, the
//! cheapest conditions of an `and` first, each looking only at what the ones before left. What
//! terms cannot decide, because a value was too long to be a term, is decided by decoding the
//! stored records of the few candidates.

use std::sync::Arc;

use event::{Decode, FieldId, fields};
use tantivy::{
    DocSet as _, InvertedIndexReader, SegmentReader, TERMINATED, Term,
    query::{EnableScoring, PhraseQuery, Query as _},
    schema::IndexRecordOption,
};

use super::{
    budget::Budget,
    docs::Docs,
    glob::Glob,
    matches::Matcher,
    plan::{Leaf, Plan, is_text},
    range::Bounds,
    stored::Events,
};
use crate::index::{
    document::{SEPARATOR, cut_word_term, halves},
    part::Part,
    schema::{EventSchema, KEYWORD_BYTES_MAX, TEXTS, column},
};

/// Terms or documents between two looks at the clock.
const CHECK_EVERY: usize = 1024;

/// Evaluates plans on one segment.
pub(crate) struct Evaluator<'a> {
    part: &'a Part,
    segment: &'a SegmentReader,
    schema: Arc<EventSchema>,
    keyword: Arc<InvertedIndexReader>,
    long: Arc<InvertedIndexReader>,
    decode: &'a dyn Decode,
    budget: &'a Budget,
    matcher: Matcher,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        part: &'a Part,
        segment: &'a SegmentReader,
        decode: &'a dyn Decode,
        budget: &'a Budget,
    ) -> tantivy::Result<Self> {
        let schema = EventSchema::get();
        Ok(Self {
            part,
            segment,
            keyword: segment.inverted_index(schema.keyword)?,
            long: segment.inverted_index(schema.long)?,
            schema,
            decode,
            budget,
            matcher: Matcher::default(),
        })
    }

    /// The documents of `within` that answer `plan`.
    pub(crate) fn evaluate(&mut self, plan: &Plan, within: &Docs) -> tantivy::Result<Docs> {
        self.budget.check()?;
        Ok(match plan {
            Plan::All => within.clone(),
            Plan::Nothing => Docs::none(self.segment.max_doc()),
            Plan::Not(plan) => within.clone().without(&self.evaluate(plan, within)?),
            Plan::And(all) => {
                let mut all: Vec<&Plan> = all.iter().collect();
                all.sort_by_key(|plan| cost(plan));
                let mut left = within.clone();
                for plan in all {
                    if left.is_empty() {
                        break;
                    }
                    left = self.evaluate(plan, &left)?;
                }
                left
            }
            Plan::Or(any) => {
                let mut found = Docs::none(self.segment.max_doc());
                let mut left = within.clone();
                for plan in any {
                    let more = self.evaluate(plan, &left)?;
                    left = left.without(&more);
                    found = found.or(&more);
                }
                found
            }
            Plan::Leaf(leaf) => self.leaf(leaf, within)?,
        })
    }

    fn leaf(&mut self, leaf: &Leaf, within: &Docs) -> tantivy::Result<Docs> {
        let mut found = Docs::none(self.segment.max_doc());
        match leaf {
            Leaf::Whole { field, folded } if folded.len() <= KEYWORD_BYTES_MAX => {
                self.keyword_term(field.name(), folded, &mut found)?;
            }
            Leaf::Whole { field, .. } => {
                let candidates = self.long_values(*field)?.and(within);
                self.verify(leaf, &candidates, &mut found)?;
            }
            Leaf::Words { field, words } => self.words(*field, words, &mut found)?,
            Leaf::Fits { field, glob } => {
                self.values(*field, glob.prefix(), |value| glob.matches(value), &mut found)?;
                if is_text(*field) && glob.is_word() {
                    self.fitting_words(*field, glob, &mut found)?;
                }
                let candidates =
                    self.long_candidates(*field, glob, within)?.and(within).without(&found);
                self.verify(leaf, &candidates, &mut found)?;
            }
            Leaf::Matches { field, regex } => {
                self.values(*field, "", |value| regex.matches(value), &mut found)?;
                let candidates = self.long_values(*field)?.and(within).without(&found);
                self.verify(leaf, &candidates, &mut found)?;
            }
            Leaf::Exists { field: fields::EVENT_ORIGINAL } => return Ok(within.clone()),
            Leaf::Exists { field } => {
                self.values(*field, "", |_| true, &mut found)?;
                found = found.or(&self.long_values(*field)?);
            }
            Leaf::Within { field, bounds } => {
                self.values(*field, "", |value| bounds.hold(value), &mut found)?;
                // A long value spells no number, time or address.
                if let Bounds::Text { .. } = bounds {
                    let candidates = self.long_values(*field)?.and(within);
                    self.verify(leaf, &candidates, &mut found)?;
                }
            }
            Leaf::Time { field, from, to } => {
                let name =
                    if *field == fields::TIMESTAMP { column::TIME } else { column::RECEIVED };
                self.between(name, *from, *to, within, &mut found)?;
            }
            Leaf::Id(id) => self.id(*id, &mut found)?,
            Leaf::Anywhere { words, folded } => {
                for field in TEXTS {
                    self.words(*field, words, &mut found)?;
                }
                self.anywhere(leaf, folded, within, &mut found)?;
            }
            Leaf::FitsAnywhere { glob } => self.fits_anywhere(leaf, glob, within, &mut found)?,
        }
        Ok(found.and(within))
    }

    fn anywhere(
        &mut self,
        leaf: &Leaf,
        folded: &str,
        within: &Docs,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        if folded.len() > KEYWORD_BYTES_MAX {
            let candidates = self.all_long()?.and(within).without(found);
            return self.verify(leaf, &candidates, found);
        }
        let part = self.part;
        for (index, name) in part.names()?.iter().enumerate() {
            if index % CHECK_EVERY == 0 {
                self.budget.check()?;
            }
            self.keyword_term(name, folded, found)?;
        }
        Ok(())
    }

    fn fits_anywhere(
        &mut self,
        leaf: &Leaf,
        glob: &Glob,
        within: &Docs,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        let keyword = Arc::clone(&self.keyword);
        let fits = |term: &[u8]| {
            let term = std::str::from_utf8(term).unwrap_or_default();
            term.split_once(SEPARATOR).is_some_and(|(_, value)| glob.matches(value))
        };
        self.walk(&keyword, b"", None, fits, found)?;
        if glob.is_word() {
            for field in TEXTS {
                self.fitting_words(*field, glob, found)?;
            }
        }
        let mut candidates = Docs::none(self.segment.max_doc());
        for field in TEXTS {
            candidates = candidates.or(&self.long_candidates(*field, glob, within)?);
        }
        let long = Arc::clone(&self.long);
        let other = |term: &[u8]| {
            !term.contains(&0) && !TEXTS.iter().any(|text| text.name().as_bytes() == term)
        };
        self.walk(&long, b"", None, other, &mut candidates)?;
        let candidates = candidates.and(within).without(found);
        self.verify(leaf, &candidates, found)
    }

    /// Documents with this value of the field.
    fn keyword_term(&self, name: &str, folded: &str, found: &mut Docs) -> tantivy::Result<()> {
        let term = format!("{name}{SEPARATOR}{folded}");
        self.term(&self.keyword, term.as_bytes(), found)
    }

    fn term(
        &self,
        inverted: &InvertedIndexReader,
        term: &[u8],
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        Self::add_term(inverted, term, found)
    }

    /// Adds the documents with `term`.
    pub(super) fn add_term(
        inverted: &InvertedIndexReader,
        term: &[u8],
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        if let Some(info) = inverted.terms().get(term)? {
            add_postings(inverted, &info, found)?;
        }
        Ok(())
    }

    /// Documents with a value of the field that begins with `prefix` and passes `accept`.
    fn values(
        &self,
        field: FieldId,
        prefix: &str,
        accept: impl Fn(&str) -> bool,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        let name_len = field.name().len() + SEPARATOR.len_utf8();
        let from = format!("{}{SEPARATOR}{prefix}", field.name());
        let below = format!("{}{}", field.name(), '\u{1}');
        let fits = |term: &[u8]| {
            term.get(name_len..)
                .and_then(|value| std::str::from_utf8(value).ok())
                .is_some_and(&accept)
        };
        // Terms are sorted, so past the prefix nothing can fit.
        let done = |term: &[u8]| !term.starts_with(from.as_bytes());
        self.walk_until(&self.keyword, from.as_bytes(), Some(below.as_bytes()), fits, done, found)
    }

    fn fitting_words(&self, field: FieldId, glob: &Glob, found: &mut Docs) -> tantivy::Result<()> {
        let Some(words) = self.schema.words(field) else { return Ok(()) };
        let inverted = self.segment.inverted_index(words)?;
        let prefix = glob.prefix().as_bytes();
        let fits = |term: &[u8]| std::str::from_utf8(term).is_ok_and(|word| glob.matches(word));
        let done = |term: &[u8]| !term.starts_with(prefix);
        self.walk_until(&inverted, prefix, None, fits, done, found)
    }

    fn walk(
        &self,
        inverted: &InvertedIndexReader,
        from: &[u8],
        below: Option<&[u8]>,
        accept: impl Fn(&[u8]) -> bool,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        self.walk_until(inverted, from, below, accept, |_| false, found)
    }

    /// Adds the documents of every accepted term in `from..below`, up to the first that is
    /// `done`.
    fn walk_until(
        &self,
        inverted: &InvertedIndexReader,
        from: &[u8],
        below: Option<&[u8]>,
        accept: impl Fn(&[u8]) -> bool,
        done: impl Fn(&[u8]) -> bool,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        let mut range = inverted.terms().range().ge(from);
        if let Some(below) = below {
            range = range.lt(below);
        }
        let mut stream = range.into_stream()?;
        let mut seen = 0;
        while stream.advance() {
            seen += 1;
            if seen % CHECK_EVERY == 0 {
                self.budget.check()?;
            }
            if done(stream.key()) {
                break;
            }
            if accept(stream.key()) {
                add_postings(inverted, stream.value(), found)?;
            }
        }
        Ok(())
    }

    /// Documents where the text field has the words, one after another.
    fn words(&self, field: FieldId, words: &[String], found: &mut Docs) -> tantivy::Result<()> {
        self.budget.check()?;
        let Some(tantivy_field) = self.schema.words(field) else { return Ok(()) };
        let inverted = self.segment.inverted_index(tantivy_field)?;
        if let [word] = words {
            return self.term(&inverted, word.as_bytes(), found);
        }
        for word in words {
            if inverted.terms().get(word.as_bytes())?.is_none() {
                return Ok(());
            }
        }
        let terms = words.iter().map(|word| Term::from_field_text(tantivy_field, word)).collect();
        let query = PhraseQuery::new(terms);
        let weight = query.weight(EnableScoring::disabled_from_schema(self.schema.tantivy()))?;
        let mut scorer = weight.scorer(self.segment, 1.0)?;
        let mut seen = 0;
        while scorer.doc() != TERMINATED {
            found.insert(scorer.doc());
            scorer.advance();
            seen += 1;
            if seen % CHECK_EVERY == 0 {
                self.budget.check()?;
            }
        }
        Ok(())
    }

    /// Documents with a value of the field that is too long to be a term.
    fn long_values(&self, field: FieldId) -> tantivy::Result<Docs> {
        let mut found = Docs::none(self.segment.max_doc());
        self.term(&self.long, field.name().as_bytes(), &mut found)?;
        Ok(found)
    }

    fn all_long(&self) -> tantivy::Result<Docs> {
        let mut found = Docs::none(self.segment.max_doc());
        self.walk(&self.long, b"", None, |_| true, &mut found)?;
        Ok(found)
    }

    /// Documents whose long value of the field may fit: of a text field only those that have
    /// the words which every fitting text has, or a word that was cut.
    fn long_candidates(&self, field: FieldId, glob: &Glob, within: &Docs) -> tantivy::Result<Docs> {
        let mut candidates = self.long_values(field)?;
        if candidates.clone().and(within).is_empty() || !is_text(field) {
            return Ok(candidates);
        }
        let mut cut = Docs::none(self.segment.max_doc());
        self.term(&self.long, &cut_word_term(field), &mut cut)?;
        for word in glob.required_words() {
            if candidates.is_empty() {
                break;
            }
            let mut having = Docs::none(self.segment.max_doc());
            self.fitting_words(field, &word, &mut having)?;
            candidates = candidates.and(&having);
        }
        Ok(candidates.or(&cut))
    }

    /// Documents of `within` whose column lies in `from..=to`.
    pub(crate) fn between(
        &self,
        name: &str,
        from: i64,
        to: i64,
        within: &Docs,
        found: &mut Docs,
    ) -> tantivy::Result<()> {
        let column = self.segment.fast_fields().i64(name)?;
        for (seen, doc) in within.iter().enumerate() {
            if seen % (16 * CHECK_EVERY) == 0 {
                self.budget.check()?;
            }
            if column.first(doc).is_some_and(|value| (from..=to).contains(&value)) {
                found.insert(doc);
            }
        }
        Ok(())
    }

    /// The document of this event.
    pub(crate) fn id(&self, id: event::EventId, found: &mut Docs) -> tantivy::Result<()> {
        let (high, low) = halves(id);
        let highs = self.segment.fast_fields().u64(column::ID_HIGH)?;
        let lows = self.segment.fast_fields().u64(column::ID_LOW)?;
        for doc in 0..self.segment.max_doc() {
            if (doc as usize).is_multiple_of(16 * CHECK_EVERY) {
                self.budget.check()?;
            }
            if lows.first(doc) == Some(low) && highs.first(doc) == Some(high) {
                found.insert(doc);
            }
        }
        Ok(())
    }

    /// Adds those candidates that answer `leaf` when they are looked at.
    fn verify(&mut self, leaf: &Leaf, candidates: &Docs, found: &mut Docs) -> tantivy::Result<()> {
        if candidates.is_empty() {
            return Ok(());
        }
        let mut events = Events::open(self.segment, self.decode)?;
        for doc in candidates.iter() {
            self.budget.check()?;
            if self.matcher.leaf(leaf, &events.get(doc)?) {
                found.insert(doc);
            }
        }
        Ok(())
    }
}

fn add_postings(
    inverted: &InvertedIndexReader,
    info: &tantivy::postings::TermInfo,
    found: &mut Docs,
) -> tantivy::Result<()> {
    let mut postings =
        inverted.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
    while !postings.docs().is_empty() {
        for doc in postings.docs() {
            found.insert(*doc);
        }
        postings.advance();
    }
    Ok(())
}

/// How much work a plan is, roughly.
fn cost(plan: &Plan) -> u32 {
    match plan {
        Plan::All | Plan::Nothing => 0,
        Plan::Leaf(Leaf::Whole { .. }) => 1,
        Plan::Leaf(Leaf::Words { .. }) => 2,
        Plan::Leaf(Leaf::Anywhere { .. }) => 5,
        Plan::Leaf(Leaf::Time { .. } | Leaf::Id(_)) => 6,
        Plan::Leaf(Leaf::Exists { .. } | Leaf::Within { .. }) => 20,
        Plan::Leaf(Leaf::Fits { .. }) => 50,
        Plan::Leaf(Leaf::Matches { .. }) => 100,
        Plan::Leaf(Leaf::FitsAnywhere { .. }) => 500,
        Plan::Not(plan) => cost(plan) + 1,
        Plan::And(all) => all.iter().map(cost).min().unwrap_or(0) + 1,
        Plan::Or(any) => any.iter().map(cost).fold(1, u32::saturating_add),
    }
}

/// The names of the fields in a segment, sorted: those before the separator in its terms. Jumps
/// from name to name.
pub(crate) fn field_names(segment: &SegmentReader) -> tantivy::Result<Vec<String>> {
    let schema = EventSchema::get();
    let inverted = segment.inverted_index(schema.keyword)?;
    let mut names = Vec::new();
    let mut from: Vec<u8> = Vec::new();
    loop {
        let mut stream = inverted.terms().range().ge(&from).into_stream()?;
        if !stream.advance() {
            return Ok(names);
        }
        let key = stream.key();
        let len = key.iter().position(|b| *b == 0).unwrap_or(key.len());
        names.push(String::from_utf8_lossy(&key[..len]).into_owned());
        from = key[..len].to_vec();
        from.push(1);
    }
}
