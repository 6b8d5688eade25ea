//! Indicators of all sources, compiled.

use std::{collections::HashMap, sync::Arc};

use event::{
    CommuneId, Indicator, IndicatorRef, IndicatorSourceId, IndicatorType, Level, Timestamp, Tlp,
};

use super::{
    allow::AllowList,
    canonical,
    fields::{self, Reading},
    keys::{Full, Keys, Sort},
};

/// A source of indicators, as far as matching needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, which each hit carries.
    pub name: IndicatorSourceId,
    /// The level of its hits; by the indicator's confidence where it is absent
    /// ([`level_of`]).
    pub level: Option<Level>,
    /// Whether an indicator `evil.example` is also one for `www.evil.example`.
    pub subdomains: bool,
    /// The communes whose events it is matched with; all where it is absent.
    pub communes: Option<Vec<CommuneId>>,
}

impl Source {
    /// A source for all communes, sub-domains included, with levels by confidence.
    pub const fn new(name: IndicatorSourceId) -> Self {
        Self { name, level: None, subdomains: true, communes: None }
    }

    /// Whether it is matched with events of `commune`.
    pub fn is_for(&self, commune: &CommuneId) -> bool {
        self.communes.as_ref().is_none_or(|communes| communes.contains(commune))
    }
}

/// The level of a hit whose source sets none: from 70 on STIX's scale of confidence high, below
/// 30 low, otherwise, and where the source does not say, medium.
pub fn level_of(confidence: Option<u8>) -> Level {
    match confidence {
        Some(70..) => Level::High,
        Some(..30) => Level::Low,
        _ => Level::Medium,
    }
}

/// Why an indicator was not taken into a set: a lowercase fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

impl From<Full> for Unusable {
    fn from(_: Full) -> Self {
        Self("there are too many indicators; leave a source out or split it".to_owned())
    }
}

/// What is known of an indicator beside its value. Texts are places in [`Texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Detail {
    from: Timestamp,
    until: Timestamp,
    id: u32,
    description: u32,
    reference: u32,
    tags: u32,
    pub(super) source: u16,
    /// 255 is none.
    confidence: u8,
    /// The place in [`Tlp::ALL`]; 255 is none.
    tlp: u8,
}

/// No confidence, no TLP.
const NONE: u8 = u8::MAX;

/// Texts, the same ones once. Place 0 is no text.
#[derive(Debug, Default)]
struct Texts(Keys);

impl Texts {
    fn insert(&mut self, text: Option<&str>) -> Result<u32, Full> {
        // A text has no sort; an empty first byte keeps it from being taken for a network.
        match text {
            Some(text) => Ok(1 + self.0.insert(&[&[u8::MAX], text.as_bytes()].concat())?),
            None => Ok(0),
        }
    }

    fn get(&self, place: u32) -> Option<String> {
        let key = self.0.get(place.checked_sub(1)?);
        Some(String::from_utf8_lossy(key.get(1..)?).into_owned())
    }
}

/// Indicators of all sources, compiled to be compared with events: immutable, shared by any
/// number of threads.
#[derive(Debug, Default)]
pub struct IndicatorSet {
    pub(super) keys: Keys,
    /// By key: where its details begin in `held`; one more at the end.
    pub(super) starts: Vec<u32>,
    pub(super) held: Vec<u32>,
    pub(super) details: Vec<Detail>,
    texts: Texts,
    sources: Vec<Arc<Source>>,
    counts: Vec<usize>,
    pub(super) allow: AllowList,
    pub(super) readings: Vec<Reading>,
}

impl IndicatorSet {
    /// Begins one.
    pub fn builder() -> IndicatorSetBuilder {
        IndicatorSetBuilder::default()
    }

    /// The sources, each with how many indicators it has in the set.
    pub fn sources(&self) -> impl Iterator<Item = (&Source, usize)> {
        self.sources.iter().map(AsRef::as_ref).zip(self.counts.iter().copied())
    }

    /// How many indicators there are; the same value from two sources counts twice.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
            + self.texts.0.memory_bytes()
            + (self.starts.capacity() + self.held.capacity()) * size_of::<u32>()
            + self.details.capacity() * size_of::<Detail>()
            + self.readings.capacity() * size_of::<Reading>()
            + self.allow.memory_bytes()
    }

    /// The indicators that a value carries, whatever their validity and whoever's they are: each
    /// type is tried that `value` can be of, domains with those above them, addresses with the
    /// networks around them. Whether an allow list keeps them silent comes with them.
    pub fn look_up(&self, value: &str) -> Vec<(IndicatorRef, bool)> {
        let mut places = Vec::new();
        let mut silent = false;
        self.each_key_of(value, |place, allowed| {
            places.push(place);
            silent |= allowed;
        });
        places.sort_unstable();
        places.dedup();
        let held = places.into_iter().flat_map(|place| self.details_of(place));
        held.filter_map(|(place, detail)| Some((self.describe(place, detail)?, silent))).collect()
    }

    /// Indicators in the order in which they were added, from place `from` on, with the place
    /// after each. Those of other sources than `source` are left out.
    pub fn list(
        &self,
        source: Option<&str>,
        from: usize,
    ) -> impl Iterator<Item = (usize, IndicatorRef)> {
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let end = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        (from..end)
            .flat_map(|place| self.details_of(place))
            .filter(move |(_, detail)| {
                source
                    .is_none_or(|name| self.source(detail).is_some_and(|s| s.name.as_str() == name))
            })
            .filter_map(|(place, detail)| Some((place as usize + 1, self.describe(place, detail)?)))
    }

    pub(super) fn details_of(&self, place: u32) -> impl Iterator<Item = (u32, &Detail)> {
        let bound = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let range = bound(place as usize)..bound(place as usize + 1);
        let held = self.held.get(range).unwrap_or_default();
        held.iter().filter_map(move |at| Some((place, self.details.get(*at as usize)?)))
    }

    pub(super) fn source(&self, detail: &Detail) -> Option<&Source> {
        self.sources.get(usize::from(detail.source)).map(AsRef::as_ref)
    }

    /// The indicator at `place` as `detail` tells it, its value in canonical spelling.
    pub(super) fn describe(&self, place: u32, detail: &Detail) -> Option<IndicatorRef> {
        let key = self.keys.get(place);
        let tags = self.texts.get(detail.tags).unwrap_or_default();
        Some(IndicatorRef {
            source: self.source(detail)?.name.clone(),
            indicator: Indicator {
                kind: kind_of(key),
                value: canonical::shown(key),
                id: self.texts.get(detail.id),
                valid_from: Some(detail.from).filter(|from| *from != Timestamp::MIN),
                valid_until: Some(detail.until).filter(|until| *until != Timestamp::MAX),
                confidence: detail.confidence(),
                tlp: Tlp::ALL.get(usize::from(detail.tlp)).copied(),
                tags: tags.split_ascii_whitespace().map(str::to_owned).collect(),
                description: self.texts.get(detail.description),
                reference: self.texts.get(detail.reference),
            },
        })
    }
}

impl Detail {
    pub(super) fn holds_at(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    pub(super) fn confidence(&self) -> Option<u8> {
        Some(self.confidence).filter(|confidence| *confidence != NONE)
    }

    /// Of two that hold, the greater one is told: the surer, then the one that holds longer.
    pub(super) fn rank(&self) -> (u8, Timestamp, Timestamp) {
        (self.confidence().unwrap_or(50), self.until, self.from)
    }
}

fn kind_of(key: &[u8]) -> IndicatorType {
    let sort = key.first().copied().unwrap_or_default();
    IndicatorType::ALL
        .iter()
        .copied()
        .find(|kind| sort_of(*kind) as u8 == sort)
        .unwrap_or(IndicatorType::Domain)
}

const fn sort_of(kind: IndicatorType) -> Sort {
    match kind {
        IndicatorType::Ip => Sort::Ip,
        IndicatorType::Domain => Sort::Domain,
        IndicatorType::Url => Sort::Url,
        IndicatorType::Hash => Sort::Hash,
        IndicatorType::Email => Sort::Email,
        IndicatorType::UserAgent => Sort::UserAgent,
        IndicatorType::Certificate => Sort::Certificate,
        IndicatorType::FileName => Sort::FileName,
        IndicatorType::Ja3 => Sort::Ja3,
    }
}

/// Takes indicators one by one and compiles them into an [`IndicatorSet`].
#[derive(Debug, Default)]
pub struct IndicatorSetBuilder {
    set: IndicatorSet,
    known: HashMap<Detail, u32>,
    /// Key and detail.
    pairs: Vec<(u32, u32)>,
    read: [bool; IndicatorType::ALL.len()],
    key: Vec<u8>,
}

impl IndicatorSetBuilder {
    /// Adds a source; indicators are added under the number it returns.
    pub fn source(&mut self, source: Source) -> Result<SourceId, Unusable> {
        let id = u16::try_from(self.set.sources.len())
            .map_err(|_| Unusable("there are more than 65,536 sources".to_owned()))?;
        self.set.sources.push(Arc::new(source));
        self.set.counts.push(0);
        Ok(SourceId(id))
    }

    /// Sets what is never a hit.
    pub fn allow(&mut self, allow: AllowList) {
        self.set.allow = allow;
    }

    /// Adds an indicator of `source`. An indicator that ends before it begins holds never and is
    /// refused, as is a value that is none of its type.
    pub fn add(&mut self, source: SourceId, indicator: &Indicator) -> Result<(), Unusable> {
        let (from, until) = (indicator.valid_from, indicator.valid_until);
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            return Err(Unusable(format!("it ends ({until}) before it begins ({from})")));
        }
        canonical::key(indicator.kind, &indicator.value, &mut self.key).map_err(Unusable)?;
        let set = &mut self.set;
        let tags = Some(indicator.tags.join(" ")).filter(|tags| !tags.is_empty());
        let detail = Detail {
            from: from.unwrap_or(Timestamp::MIN),
            until: until.unwrap_or(Timestamp::MAX),
            id: set.texts.insert(indicator.id.as_deref())?,
            description: set.texts.insert(indicator.description.as_deref())?,
            reference: set.texts.insert(indicator.reference.as_deref())?,
            tags: set.texts.insert(tags.as_deref())?,
            source: source.0,
            confidence: indicator.confidence.map_or(NONE, |confidence| confidence.min(100)),
            tlp: tlp_place(indicator.tlp),
        };
        let place = set.keys.insert(&self.key)?;
        let next = u32::try_from(set.details.len()).map_err(|_| Full)?;
        let at = *self.known.entry(detail).or_insert_with(|| {
            set.details.push(detail);
            next
        });
        self.pairs.push((place, at));
        if let Some(read) = self.read.get_mut(indicator.kind as usize) {
            *read = true;
        }
        Ok(())
    }

    /// Compiles what was added.
    pub fn build(mut self) -> IndicatorSet {
        drop(self.known);
        let mut set = self.set;
        self.pairs.sort_unstable();
        self.pairs.dedup();
        set.starts = Vec::with_capacity(set.keys.len() + 1);
        set.held = Vec::with_capacity(self.pairs.len());
        for (place, at) in self.pairs {
            while set.starts.len() <= place as usize {
                set.starts.push(u32::try_from(set.held.len()).unwrap_or(u32::MAX));
            }
            set.held.push(at);
            let source = set.details.get(at as usize).map(|detail| usize::from(detail.source));
            if let Some(count) = source.and_then(|source| set.counts.get_mut(source)) {
                *count += 1;
            }
        }
        set.starts.push(u32::try_from(set.held.len()).unwrap_or(u32::MAX));
        set.keys.shrink();
        set.texts.0.shrink();
        set.details.shrink_to_fit();
        // Fields that no indicator here can be found in are not looked at.
        let wanted = IndicatorType::ALL.iter().zip(self.read).filter(|(_, read)| *read);
        let wanted = wanted.fold(Reading::NONE, |all, (kind, _)| all.and(Reading::of(*kind)));
        set.readings = fields::table();
        for reading in &mut set.readings {
            *reading = reading.only(wanted);
        }
        set
    }
}

fn tlp_place(tlp: Option<Tlp>) -> u8 {
    tlp.and_then(|tlp| u8::try_from(tlp as usize).ok()).unwrap_or(NONE)
}

/// A source's number in the set that is being built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(u16);
