//! Searching a text for many needles by looking at few of its bytes.
//!
//! Of each needle a window of fixed length is chosen, and all grams (runs of [`Width`] bytes)
//! in the window are entered in a table. The text is looked at only every `step` bytes, where
//! `step` is the number of grams in a window.
//!
//! Invariant: every needle in the text is found. Its window covers `step` grams that begin at
//! `step` places in a row, so one of them begins at a place that is looked at; that gram is in
//! the table, with the needle and its place in it, and the needle is compared in full there.
//! Grams are compared with case bits set on both sides, which only makes more of them alike.

use std::{collections::HashMap, sync::LazyLock};

use super::{
    index::Index,
    needles::{LOWER, Needles},
};

/// Bytes of a gram in needles that are long enough.
const WIDE: usize = 4;
/// Needles up to which grams of three bytes are still rare enough: shorter grams let the text
/// be looked at less often.
const FEW: usize = 160;
/// Bytes of a window at most: a longer one would be looked at less often, but more of its
/// grams would be ordinary ones.
const WINDOW_BYTES_MAX: usize = 12;
/// Bytes of a needle that are compared at most: a text of one letter would make the search for
/// a long needle of that letter quadratic. What is found so may not be there; the rule says.
const VERIFY_BYTES_MAX: usize = 64;
/// Bits of the filter for each gram: as many as the nearest cache has room for, and at least so
/// many that few grams are taken for one that is in the table.
const FILTER_BITS: usize = 64;
const FILTER_BITS_LEAST: usize = 16;
const FILTER_BITS_NEAR: usize = 1 << 17;
/// Words of the filters that most classes have.
const SIZES: [usize; 3] = [1 << 6, 1 << 8, 1 << 11];

/// Where a gram stands in a needle.
#[derive(Clone, Copy, Debug)]
struct Spot {
    needle: u32,
    offset: u32,
}

/// The search for some needles of about the same length.
#[derive(Debug)]
struct Class {
    width: usize,
    step: usize,
    /// Which hashed grams are in the table, one bit each: small enough to stay in the cache.
    filter: Box<[u64]>,
    shift: u32,
    spots: Index<Spot>,
}

/// The search for all needles of a slot.
#[derive(Debug, Default)]
pub(super) struct Grams {
    classes: Vec<Class>,
}

impl Grams {
    /// For the needles with these numbers; none is empty.
    pub(super) fn new(needles: &Needles, numbers: &[u32]) -> Self {
        let mut classes = Vec::new();
        // Classes are searched one after the other, so there are as few as widths.
        let wide = if numbers.len() <= FEW { 3 } else { WIDE };
        for (width, lengths) in [(wide, wide..usize::MAX), (2, 2..wide), (1, 1..2)] {
            let members: Vec<u32> = numbers
                .iter()
                .copied()
                .filter(|number| lengths.contains(&needles.text(*number).len()))
                .collect();
            if !members.is_empty() {
                classes.push(Class::new(needles, &members, width));
            }
        }
        Self { classes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Calls `found` with every needle in `text`, some more than once.
    pub(super) fn search(&self, needles: &Needles, text: &[u8], found: &mut impl FnMut(u32)) {
        for class in &self.classes {
            match class.width {
                WIDE => class.search::<WIDE>(needles, text, found),
                3 => class.search::<3>(needles, text, found),
                2 => class.search::<2>(needles, text, found),
                _ => class.search::<1>(needles, text, found),
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.classes
            .iter()
            .map(|class| size_of_val(&*class.filter) + class.spots.memory_bytes())
            .sum()
    }
}

/// The first bytes of a word, with their case bits set.
fn gram<const WIDTH: usize>(word: [u8; 4]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "its lower half is what is wanted")]
    let lower = LOWER as u32;
    u32::from_le_bytes(word) & (u32::MAX >> (32 - 8 * WIDTH)) | lower
}

/// The bytes at `at` as a word; what is behind the end is zero.
fn word(text: &[u8], at: usize) -> [u8; 4] {
    let mut word = [0; 4];
    let rest = &text[at..text.len().min(at + 4)];
    word[..rest.len()].copy_from_slice(rest);
    word
}

fn gram_of(text: &[u8], at: usize, width: usize) -> u32 {
    let word = word(text, at);
    match width {
        WIDE => gram::<WIDE>(word),
        3 => gram::<3>(word),
        2 => gram::<2>(word),
        _ => gram::<1>(word),
    }
}

/// A number of a gram, well mixed in its upper bits: what stands behind the gram is shifted out
/// of the product.
#[inline]
fn mixed<const WIDTH: usize>(word: [u8; 4]) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "its lower half is what is wanted")]
    let lower = LOWER as u32;
    (u32::from_le_bytes(word) | lower).wrapping_mul(const { factor(WIDTH) })
}

const fn factor(width: usize) -> u32 {
    0x9e37_79b1 << (32 - 8 * width)
}

/// Which mixed grams may be in the table.
trait Filter: Copy {
    /// Its last bit says whether this one may be.
    fn known(self, mixed: u32) -> u64;
}

/// A filter of so many words; the compiler knows its size.
#[derive(Clone, Copy)]
struct Sized<'f, const WORDS: usize>(&'f [u64; WORDS]);

impl<const WORDS: usize> Filter for Sized<'_, WORDS> {
    #[inline]
    fn known(self, mixed: u32) -> u64 {
        let bit = mixed >> const { 32 - (WORDS * 64).trailing_zeros() };
        // The remainder changes nothing; it lets the compiler see that the index is in bounds.
        self.0[(bit / 64) as usize % WORDS] >> (bit % 64)
    }
}

/// A filter of any size.
#[derive(Clone, Copy)]
struct Unsized<'f>(&'f [u64], u32);

impl Filter for Unsized<'_> {
    #[inline]
    fn known(self, mixed: u32) -> u64 {
        let bit = mixed >> self.1;
        self.0.get((bit / 64) as usize).map_or(0, |word| word >> (bit % 64))
    }
}

/// The first place from `at` on, every `step` bytes, whose gram may be in the table; where none
/// is, the first one that is too near the end for a whole word.
///
/// A function of its own, so that all it needs is in registers.
#[inline(never)]
fn next_known<const WIDTH: usize>(
    filter: impl Filter,
    text: &[u8],
    mut at: usize,
    step: usize,
) -> usize {
    let known = |at: usize| {
        let word = text.get(at..).and_then(|rest| rest.first_chunk());
        word.map_or(0, |word| filter.known(mixed::<WIDTH>(*word)))
    };
    // Nearly all grams are unknown, so four are asked about at once.
    while at + 3 * step + 4 <= text.len() {
        let (a, b) = (known(at), known(at + step));
        let (c, d) = (known(at + 2 * step), known(at + 3 * step));
        if (a | b | c | d) & 1 == 1 {
            let before = [a, b, c, d].iter().take_while(|known| **known & 1 == 0).count();
            return at + before * step;
        }
        at += 4 * step;
    }
    while at + 4 <= text.len() && known(at) & 1 == 0 {
        at += step;
    }
    at
}

impl Class {
    fn new(needles: &Needles, members: &[u32], width: usize) -> Self {
        let shortest = members.iter().map(|n| needles.text(*n).len()).min().unwrap_or(width);
        let window = shortest.min(WINDOW_BYTES_MAX);
        let step = window + 1 - width;
        let mut pairs = Vec::with_capacity(members.len() * step);
        for needle in members {
            let text = needles.text(*needle);
            let from = rarest_window(text, window, width);
            for offset in from..from + step {
                let spot = Spot { needle: *needle, offset: u32::try_from(offset).unwrap_or(0) };
                pairs.push((u64::from(gram_of(text, offset, width)), spot));
            }
        }
        let wanted = (pairs.len() * FILTER_BITS).min(FILTER_BITS_NEAR);
        let bits = wanted.max(pairs.len() * FILTER_BITS_LEAST).next_power_of_two();
        let bits = SIZES.iter().map(|words| words * 64).find(|size| *size >= bits).unwrap_or(bits);
        let bits = bits.min(1 << 24);
        let shift = 32 - bits.trailing_zeros();
        let mut filter = vec![0_u64; bits / 64];
        for (gram, _) in &pairs {
            // What a gram has behind its own bytes is shifted out as well.
            let gram = u32::try_from(*gram).unwrap_or(0);
            let mixed = gram.wrapping_mul(factor(width));
            let bit = (mixed >> shift) as usize;
            filter[bit / 64] |= 1 << (bit % 64);
        }
        Self { width, step, filter: filter.into(), shift, spots: Index::new(pairs) }
    }

    fn search<const WIDTH: usize>(
        &self,
        needles: &Needles,
        text: &[u8],
        found: &mut impl FnMut(u32),
    ) {
        let filter = &*self.filter;
        // A table of each size in [`SIZES`] has a search of its own.
        if let Ok(filter) = filter.try_into() {
            self.search_in::<WIDTH>(Sized::<{ SIZES[0] }>(filter), needles, text, found);
        } else if let Ok(filter) = filter.try_into() {
            self.search_in::<WIDTH>(Sized::<{ SIZES[1] }>(filter), needles, text, found);
        } else if let Ok(filter) = filter.try_into() {
            self.search_in::<WIDTH>(Sized::<{ SIZES[2] }>(filter), needles, text, found);
        } else {
            self.search_in::<WIDTH>(Unsized(filter, self.shift), needles, text, found);
        }
    }

    #[inline]
    fn search_in<const WIDTH: usize>(
        &self,
        filter: impl Filter,
        needles: &Needles,
        text: &[u8],
        found: &mut impl FnMut(u32),
    ) {
        let mut at = next_known::<WIDTH>(filter, text, 0, self.step);
        while let Some(Ok(word)) = text.get(at..at + 4).map(TryInto::try_into) {
            self.verify(needles, text, at, gram::<WIDTH>(word), found);
            at = next_known::<WIDTH>(filter, text, at + self.step, self.step);
        }
        // The last places, where no whole word is left.
        while at + WIDTH <= text.len() {
            let word = word(text, at);
            if filter.known(mixed::<WIDTH>(word)) & 1 == 1 {
                self.verify(needles, text, at, gram::<WIDTH>(word), found);
            }
            at += self.step;
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        needles: &Needles,
        text: &[u8],
        at: usize,
        gram: u32,
        found: &mut impl FnMut(u32),
    ) {
        for spot in self.spots.get(u64::from(gram)) {
            let (needle, offset) = (needles.text(spot.needle), spot.offset as usize);
            let from = offset.saturating_sub(VERIFY_BYTES_MAX / 2);
            let part = &needle[from..needle.len().min(from + VERIFY_BYTES_MAX)];
            if let Some(begin) = (at + from).checked_sub(offset)
                && at >= offset
                && text
                    .get(begin..begin + part.len())
                    .is_some_and(|found| found.eq_ignore_ascii_case(part))
            {
                found(spot.needle);
            }
        }
    }
}

/// Texts that many values of Windows telemetry have: the parts of its paths, the names of its
/// usual programs and keys, the words of command lines and scripts; and the names of its fields,
/// as whole records are searched for keywords. Windows avoid them; only speed depends on the list.
const ORDINARY: &str = "c:\\windows\\system32\\windowspowershell\\v1.0\\powershell.exe \
    c:\\program files (x86)\\microsoft\\ c:\\users\\public\\appdata\\local\\temp\\roaming\\ \
    svchost.exe -k netsvcs rundll32.exe cmd.exe /c conhost.exe services.exe lsass.exe \
    explorer.exe ntdll.dll kernel32.dll kernelbase.dll .dll+ syswow64\\ drivers\\ \
    hklm\\software\\microsoft\\windows\\currentversion\\ hklm\\system\\currentcontrolset\\services\\ \
    \\device\\harddiskvolume \\registry\\machine\\ hku\\s-1-5-21- software\\classes\\ \
    microsoft-windows-security-auditing nt authority\\system name value parameter object \
    microsoft-windows-sysmon/operational microsoft-windows-powershell microsoft corporation \
    commandinvocation parameterbinding system.management.automation function param string \
    return true false null type process http https:// www. .com/ user account domain logon \
    workstation security default version policies file files path data the and for with this \
    new-object get-item set-item out-null add-type import-module write-output input output \
    eventid eventtime eventtype eventreceivedtime eventrecordid event.code event_data severity \
    severityvalue keywords provider providername providerguid channel hostname computer \
    sourcename sourcemodulename sourcemoduletype opcode opcodevalue task category recordnumber \
    threadid processid executionprocessid processguid image commandline currentdirectory \
    originalfilename parentimage parentcommandline targetfilename targetobject targetusername \
    targetdomainname subjectusername subjectusersid subjectlogonid subjectdomainname logonid \
    logontype logonguid terminalsessionid integritylevel hashes sha1= md5= sha256= imphash= \
    company description product fileversion rulename utctime creationutctime details initiated \
    protocol sourceip sourceport sourcehostname destinationip destinationport signed signature \
    signaturestatus privilegelist accesslist accessmask objectname objecttype handleid status \
    ipaddress scriptblocktext scriptblockid hostapplication contextinfo payload audit success \
    failure message information network connection system administrator";

/// How often each gram of some width is in [`ORDINARY`]; past 255 times is all the same.
fn ordinary(width: usize) -> &'static HashMap<u32, u8> {
    static BY_WIDTH: [LazyLock<HashMap<u32, u8>>; WIDE] = [
        LazyLock::new(|| counted(1)),
        LazyLock::new(|| counted(2)),
        LazyLock::new(|| counted(3)),
        LazyLock::new(|| counted(4)),
    ];
    &BY_WIDTH[width.clamp(1, WIDE) - 1]
}

fn counted(width: usize) -> HashMap<u32, u8> {
    let mut counts: HashMap<u32, u8> = HashMap::new();
    for at in 0..=ORDINARY.len() - width {
        let count = counts.entry(gram_of(ORDINARY.as_bytes(), at, width)).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// Where a window of the needle begins whose grams are the least ordinary.
fn rarest_window(text: &[u8], window: usize, width: usize) -> usize {
    let ordinary = ordinary(width);
    let weight = |at: usize| {
        let count = ordinary.get(&gram_of(text, at, width)).copied().unwrap_or_default();
        2 * usize::from(count) + usize::from(text[at] == b' ')
    };
    let weights: Vec<usize> = (0..=text.len() - width).map(weight).collect();
    let grams = window + 1 - width;
    weights
        .windows(grams)
        .enumerate()
        .min_by_key(|(_, weights)| weights.iter().sum::<usize>())
        .map_or(0, |(from, _)| from)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::fold::fold;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The simple form: every needle that the folded text contains.
        #[test]
        fn finds_every_needle(
            words in prop::collection::vec("[abAB\\\\é.K]{1,14}", 1..24),
            before in "[abAB\\\\é. ]{0,20}",
            after in "[abAB\\\\É. ]{0,20}",
            which in any::<prop::sample::Index>(),
        ) {
            let words: Vec<String> = words.iter().map(|word| fold(word)).collect();
            let text = format!("{before}{}{after}", which.get(&words).to_uppercase());
            let mut needles = Needles::default();
            let numbers: Vec<u32> = words.iter().map(|word| needles.add(word, &[])).collect();
            let grams = Grams::new(&needles, &numbers);
            let searched = if text.is_ascii() { text.clone() } else { fold(&text) };
            let mut got = BTreeSet::new();
            grams.search(&needles, searched.as_bytes(), &mut |needle| { got.insert(needle); });
            let folded = fold(&text);
            let meant: BTreeSet<u32> = numbers
                .into_iter()
                .filter(|number| folded.contains(&words[*number as usize]))
                .collect();
            prop_assert_eq!(got, meant);
        }
    }
}
