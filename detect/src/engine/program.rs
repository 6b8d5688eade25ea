//! All rules of some log sources as one search for their witnesses.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use event::FieldId;

use super::{
    view::View,
    witness::{self, Kind, Witness},
};
use crate::rule::Rule;

/// Bytes of literals up to which an automaton is a full table: fastest, but about a
/// kilobyte a byte of literal.
const TABLE_BYTES_MAX: usize = 4 << 10;

/// Texts to look for, how each must stand, and the rules that it makes candidates.
type Texts = BTreeMap<(Kind, String), Vec<u32>>;

/// The search for candidates among some rules.
#[derive(Debug, Default)]
pub(super) struct Program {
    slots: Vec<Slot>,
    /// Rules without a witness, which are candidates on every event.
    always: Vec<u32>,
}

/// The witnesses that are looked for in one list of fields.
#[derive(Debug)]
struct Slot {
    /// Empty for every value and the record itself.
    fields: Vec<FieldId>,
    whole: Table,
    last_part: Table,
    within: Option<Search>,
}

/// Texts looked up, with the rules that each makes candidates.
#[derive(Debug, Default)]
struct Table {
    rules: HashMap<Box<str>, Box<[u32]>>,
    /// Bit n: some text is n bytes long; the last bit for all longer ones.
    lengths: [u64; 4],
}

/// Texts searched for.
#[derive(Debug)]
struct Search {
    automaton: AhoCorasick,
    /// By pattern: how it must stand, and the rules that it makes candidates.
    patterns: Vec<(Kind, Box<[u32]>)>,
}

const LENGTH_MAX: usize = 255;

impl Table {
    fn new(texts: BTreeMap<String, Vec<u32>>) -> Self {
        let mut table = Self::default();
        for (text, rules) in texts {
            let len = text.len().min(LENGTH_MAX);
            table.lengths[len / 64] |= 1 << (len % 64);
            table.rules.insert(text.into_boxed_str(), rules.into_boxed_slice());
        }
        table
    }

    /// Invariant: a text whose length no key has is no key.
    fn get(&self, text: &str) -> &[u32] {
        let len = text.len().min(LENGTH_MAX);
        if self.lengths[len / 64] >> (len % 64) & 1 == 0 {
            return &[];
        }
        self.rules.get(text).map_or(&[], |rules| rules)
    }

    fn memory_bytes(&self) -> usize {
        self.rules.iter().map(|(text, rules)| text.len() + rules.len() * 4 + 48).sum()
    }
}

impl Program {
    /// Compiles the rules at the given places.
    pub(super) fn new<'r>(rules: impl Iterator<Item = (u32, &'r Rule)>) -> Self {
        let mut program = Self::default();
        let mut by_fields: BTreeMap<Vec<FieldId>, Texts> = BTreeMap::new();
        for (place, rule) in rules {
            let Some(choice) = witness::choose(&rule.expr) else {
                program.always.push(place);
                continue;
            };
            for Witness { fields, kind, text } in choice.witnesses {
                let places = by_fields.entry(fields).or_default().entry((kind, text)).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        for (fields, texts) in by_fields {
            match Slot::new(fields, texts) {
                Ok(slot) => program.slots.push(slot),
                // An automaton that cannot be built costs speed, not matches.
                Err(places) => program.always.extend(places),
            }
        }
        program.always.sort_unstable();
        program.always.dedup();
        program
    }

    /// Adds every rule that may hold on the event to the candidates, each once.
    pub(super) fn candidates(&self, view: &mut View<'_, '_>) {
        for place in &self.always {
            add(view, *place);
        }
        for slot in &self.slots {
            slot.candidates(view);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots
            .iter()
            .map(|slot| {
                let search = slot.within.as_ref().map_or(0, |search| {
                    search.automaton.memory_usage()
                        + search
                            .patterns
                            .iter()
                            .map(|(_, rules)| rules.len() * 4 + 24)
                            .sum::<usize>()
                });
                search + slot.whole.memory_bytes() + slot.last_part.memory_bytes()
            })
            .sum()
    }
}

fn add(view: &mut View<'_, '_>, place: u32) {
    let generation = view.scratch.generation;
    if let Some(seen) = view.scratch.seen.get_mut(place as usize)
        && *seen != generation
    {
        *seen = generation;
        view.scratch.candidates.push(place);
    }
}

impl Slot {
    /// Where the automaton cannot be built, the rules that it was for.
    fn new(fields: Vec<FieldId>, texts: Texts) -> Result<Self, Vec<u32>> {
        let (mut whole, mut last_part) = (BTreeMap::new(), BTreeMap::new());
        let (mut literals, mut patterns, mut bytes) = (Vec::new(), Vec::new(), 0);
        for ((kind, text), rules) in texts {
            match kind {
                Kind::Whole => {
                    whole.insert(text, rules);
                }
                Kind::LastPart => {
                    last_part.insert(text, rules);
                }
                Kind::Prefix | Kind::Suffix | Kind::Within => {
                    bytes += text.len();
                    literals.push(text);
                    patterns.push((kind, rules.into_boxed_slice()));
                }
            }
        }
        let kind = if bytes <= TABLE_BYTES_MAX {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let within = if literals.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .kind(Some(kind))
                .build(&literals);
            match built {
                Ok(automaton) => Some(Search { automaton, patterns }),
                Err(_) => {
                    let mut places: Vec<u32> =
                        patterns.iter().flat_map(|(_, rules)| rules.iter().copied()).collect();
                    places.extend(whole.into_values().chain(last_part.into_values()).flatten());
                    return Err(places);
                }
            }
        };
        Ok(Self { fields, whole: Table::new(whole), last_part: Table::new(last_part), within })
    }

    fn candidates(&self, view: &mut View<'_, '_>) {
        if self.fields.is_empty() {
            for index in 0..view.entries() {
                self.search(view, index);
            }
            let folded = crate::fold::fold(&view.event.original_text());
            self.search_text(&folded, &mut |places| {
                places.iter().for_each(|place| add(view, *place));
            });
            return;
        }
        let mut last: Option<&str> = None;
        for field in &self.fields {
            let mut at = view.first(*field);
            while let Some(index) = at {
                at = view.next(index);
                let text = view.value(index).as_str();
                // Invariant: the same bytes hold the same witnesses.
                if text.is_some() && text.zip(last).is_some_and(|(a, b)| std::ptr::eq(a, b)) {
                    continue;
                }
                last = text;
                self.search(view, index);
            }
        }
    }

    fn search(&self, view: &mut View<'_, '_>, index: usize) {
        // The found rules are collected past the text's borrow of the view.
        let mut found = std::mem::take(&mut view.scratch.found);
        self.search_text(view.folded(index), &mut |places| found.extend_from_slice(places));
        for place in &found {
            add(view, *place);
        }
        found.clear();
        view.scratch.found = found;
    }

    fn search_text(&self, text: &str, found: &mut impl FnMut(&[u32])) {
        if !self.whole.rules.is_empty() {
            found(self.whole.get(text));
        }
        if !self.last_part.rules.is_empty()
            && let Some((_, name)) = text.rsplit_once('\\')
        {
            found(self.last_part.get(name));
        }
        if let Some(search) = &self.within {
            for hit in search.automaton.find_overlapping_iter(text) {
                let (kind, rules) = &search.patterns[hit.pattern().as_usize()];
                let stands = match kind {
                    Kind::Prefix => hit.start() == 0,
                    Kind::Suffix => hit.end() == text.len(),
                    _ => true,
                };
                if stands {
                    found(rules);
                }
            }
        }
    }
}
