//! The witnesses that are looked for in one list of fields.

use super::{
    grams::Grams,
    index::Index,
    needles::{Needles, digest, edge},
    network::Networks,
    view::{Marks, Scratch, View},
    witness::Kind,
};
use event::ValueRef;

use crate::test::Cidr;

/// Lengths that a filter tells apart; longer ones are alike.
const LENGTH_MAX: usize = 255;
/// Bytes of a needle's end that are looked up at most.
const EDGE_BYTES_MAX: usize = 8;

/// The search for the witnesses in some fields.
#[derive(Debug, Default)]
pub(super) struct Slot {
    needles: Needles,
    whole: Whole,
    /// By digest of the last part of a path.
    last_part: Option<Index<u32>>,
    prefixes: Edges,
    suffixes: Edges,
    /// By network.
    networks: Option<Networks<u32>>,
    within: Grams,
    /// Rules that are candidates wherever a field is there.
    present: Vec<u32>,
    /// Whether values must be searched one by one, where they are searched all.
    is_by_value: bool,
    /// Whether no needle has a character that escapes of JSON are needed for.
    is_plain: bool,
}

/// Needles that are the whole value.
#[derive(Debug, Default)]
struct Whole {
    by_digest: Option<Index<u32>>,
    /// Bit n: some needle is n bytes long; the last bit for all longer ones.
    lengths: [u64; 4],
}

/// Needles at one end of the value.
#[derive(Debug, Default)]
struct Edges {
    /// By the outermost bytes, as a number with their count.
    by_edge: Option<Index<u32>>,
    /// Bit n: some needle is looked up by n bytes.
    lengths: u16,
}

impl Edges {
    fn new(pairs: Vec<(usize, u64, u32)>) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let lengths = pairs.iter().fold(0, |bits, (len, ..)| bits | 1 << len);
        let keyed = pairs.into_iter().map(|(len, edge, needle)| (key(len, edge), needle));
        Self { by_edge: Some(Index::new(keyed.collect())), lengths }
    }

    /// Calls `found` with the needles that may stand at the end that `cut` cuts off.
    ///
    /// Invariant: a needle that stands there has its outermost bytes, eight at most, in
    /// common with the text, up to bits of case, and is under their number.
    fn search<'t>(
        &self,
        text: &'t [u8],
        cut: impl Fn(usize) -> &'t [u8],
        mut found: impl FnMut(u32),
    ) {
        let Some(by_edge) = &self.by_edge else { return };
        let mut lengths = self.lengths;
        while lengths != 0 {
            let len = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            if len <= text.len() {
                by_edge.get(key(len, edge(cut(len)))).iter().copied().for_each(&mut found);
            }
        }
    }
}

/// Whether it has no character for which [`event::Event::distinct_text`] leaves something out.
pub(super) fn is_plain(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'"' | b'\\') || *byte < b' ')
}

fn key(len: usize, edge: u64) -> u64 {
    edge ^ (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Slot {
    /// A slot for `texts`: how each must stand, what it is (folded), and the rules that it
    /// makes candidates.
    pub(super) fn new(texts: impl IntoIterator<Item = ((Kind, String), Vec<u32>)>) -> Self {
        let mut slot = Self::default();
        let (mut whole, mut last_part, mut within) = (Vec::new(), Vec::new(), Vec::new());
        let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
        let mut networks = Vec::new();
        for ((kind, text), rules) in texts {
            if kind == Kind::Present || (text.is_empty() && kind != Kind::Whole) {
                // Every text holds the empty one, at either end too; as the last part of a
                // path it asks for a backslash besides, which the rule itself checks.
                slot.present.extend(rules);
                continue;
            }
            let bytes = text.as_bytes();
            let needle = slot.needles.add(&text, &rules);
            let len = bytes.len().min(EDGE_BYTES_MAX);
            match kind {
                Kind::Whole => {
                    let len = bytes.len().min(LENGTH_MAX);
                    slot.whole.lengths[len / 64] |= 1 << (len % 64);
                    whole.push((digest(bytes), needle));
                }
                Kind::LastPart => last_part.push((digest(bytes), needle)),
                Kind::Prefix => prefixes.push((len, edge(bytes), needle)),
                Kind::Suffix => suffixes.push((len, edge(&bytes[bytes.len() - len..]), needle)),
                Kind::Network => match Cidr::parse(&text) {
                    Ok(network) => networks.push((network, needle)),
                    // It was written by the network itself; the rule asks again anyway.
                    Err(_) => slot.present.extend(rules),
                },
                Kind::Within | Kind::Present => within.push(needle),
            }
        }
        let index = |pairs: Vec<_>| (!pairs.is_empty()).then(|| Index::new(pairs));
        slot.whole.by_digest = index(whole);
        slot.last_part = index(last_part);
        slot.prefixes = Edges::new(prefixes);
        slot.suffixes = Edges::new(suffixes);
        slot.networks = (!networks.is_empty()).then(|| Networks::new(networks));
        let within_count = within.len();
        slot.within = Grams::new(&slot.needles, &within);
        slot.present.sort_unstable();
        slot.present.dedup();
        slot.is_plain = (0..slot.needles.len())
            .all(|number| is_plain(slot.needles.text(u32::try_from(number).unwrap_or(0))));
        slot.is_by_value = within_count < slot.needles.len() || slot.needles.is_numeric();
        slot
    }

    /// Makes candidates of the rules that ask for no more than a value.
    #[inline]
    pub(super) fn found_present(&self, marks: &mut Marks) {
        for rule in &self.present {
            marks.add(*rule);
        }
    }

    /// The same for every value of the event and the record as it came.
    ///
    /// Invariant: a needle within a value is within the text that the event's values are parts
    /// of, which is searched as a whole, but for what repeats the record where no needle has a
    /// character that is escaped in it. What needles other than those within are, or numbers
    /// that are no text, is asked value by value.
    pub(super) fn candidates_anywhere(&self, view: &mut View<'_, '_>) {
        let event = view.event;
        let Scratch { marks, spare, .. } = &mut *view.scratch;
        self.found_present(marks);
        for (_, value) in event.iter().filter(|_| self.is_by_value) {
            if value != ValueRef::Null {
                self.search_text(&value.to_text(), spare, marks);
            }
        }
        if self.is_by_value || !event.text_has_original() {
            let original = event.original();
            if original.is_ascii() {
                self.search(original, marks);
            } else {
                self.search_text(&event.original_text(), spare, marks);
            }
        }
        if self.is_by_value {
            return;
        }
        let (text, rest) = if self.is_plain { event.distinct_text() } else { (event.text(), "") };
        self.search_text(text, spare, marks);
        self.search_text(rest, spare, marks);
    }

    fn search_text(&self, text: &str, spare: &mut String, marks: &mut Marks) {
        if text.is_ascii() {
            self.search(text.as_bytes(), marks);
        } else {
            spare.clear();
            crate::fold::fold_into(text, spare);
            self.search(spare.as_bytes(), marks);
        }
    }

    /// Makes candidates of the rules whose witness `text` is or has; it is searched as it is.
    pub(super) fn search(&self, text: &[u8], marks: &mut Marks) {
        let mut add = |needle: u32| {
            for rule in self.needles.rules(needle) {
                marks.add(*rule);
            }
        };
        if let Some(by_digest) = &self.whole.by_digest {
            let len = text.len().min(LENGTH_MAX);
            // Invariant: a text whose length no needle has is no needle.
            if self.whole.lengths[len / 64] >> (len % 64) & 1 == 1 {
                let needles = by_digest.get(digest(text)).iter();
                needles.filter(|needle| self.needles.is(**needle, text)).for_each(|n| add(*n));
            }
        }
        if let Some(by_digest) = &self.last_part
            && let Some(at) = memchr::memrchr(b'\\', text)
        {
            let part = &text[at + 1..];
            let needles = by_digest.get(digest(part)).iter();
            needles.filter(|needle| self.needles.is(**needle, part)).for_each(|n| add(*n));
        }
        self.prefixes.search(
            text,
            |len| &text[..len],
            |needle| {
                if self.needles.begins(needle, text) {
                    add(needle);
                }
            },
        );
        self.suffixes.search(
            text,
            |len| &text[text.len() - len..],
            |needle| {
                if self.needles.ends(needle, text) {
                    add(needle);
                }
            },
        );
        if let Some(networks) = &self.networks
            && let Ok(text) = std::str::from_utf8(text)
        {
            networks.find(text, |needle| {
                add(*needle);
                false
            });
        }
        if !self.within.is_empty() {
            self.within.search(&self.needles, text, &mut add);
        }
    }

    /// All its rules, some more than once.
    pub(super) fn rules(&self) -> impl Iterator<Item = u32> {
        self.needles.all_rules().iter().chain(&self.present).copied()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let tables = [
            self.whole.by_digest.as_ref(),
            self.last_part.as_ref(),
            self.prefixes.by_edge.as_ref(),
            self.suffixes.by_edge.as_ref(),
        ];
        size_of::<Self>()
            + tables.into_iter().flatten().map(Index::memory_bytes).sum::<usize>()
            + self.needles.memory_bytes()
            + self.within.memory_bytes()
            + self.networks.as_ref().map_or(0, Networks::memory_bytes)
            + self.present.capacity() * 4
    }
}
