//! The state of a correlator as bytes, and back.
//!
//! `JQCR`, a version, the body and its SHA-256. The body has the clock, what is held, the
//! origins, and for each correlation its id, the hash of its definition, and its groups, slot by
//! slot, so that a restored correlator goes on exactly as the first would have. Whole numbers are
//! LEB128, signed ones zigzag, texts have their length before them.

use std::sync::Arc;

use event::{
    CommuneId, Contribution, Entity, EntityKind, EventId, FeedId, MatchedField, Timestamp,
};
use sha2::{Digest, Sha256};

use super::{
    compile::{Compiled, Correlations},
    correlator::{Adopted, Correlator},
    groups::{Group, Groups},
    hold::Step,
    limits::Limits,
    origin::Origin,
    state::{Entry, State, Temporal, Window},
};

const MAGIC: &[u8; 4] = b"JQCR";
const VERSION: u8 = 1;
const DIGEST_BYTES: usize = 32;

/// Why a snapshot cannot be read. The texts complete "failed to restore the correlations: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is of another version.
    #[error("the snapshot has version {0}, this jacquemart knows {VERSION}")]
    Version(u8),
    /// It is no snapshot, or bytes of it changed.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
}

/// A correlator with the state of a snapshot, and what became of each correlation in it.
#[derive(Debug)]
pub struct Restored {
    /// It goes on where the snapshot was taken.
    pub correlator: Correlator,
    /// What the rules in force made of it.
    pub adopted: Adopted,
}

impl Correlator {
    /// All state, to be given to [`restore`](Self::restore).
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        out.0.extend_from_slice(MAGIC);
        out.0.push(VERSION);
        out.signed(self.hold.clock);
        out.signed(self.hold.settled);
        let (held, arrivals) = self.hold.parts();
        out.unsigned(held.len() as u64);
        for held in held {
            out.contribution(&held.contribution);
        }
        out.unsigned(arrivals.len() as u64);
        for step in arrivals {
            out.signed(step.first);
            out.signed(step.last);
            out.signed(step.latest);
        }
        out.unsigned(self.origins.len() as u64);
        for (number, origin) in self.origins.iter() {
            out.unsigned(u64::from(number));
            out.origin(origin);
        }
        out.unsigned(self.groups.len() as u64);
        for (compiled, groups) in self.rules.compiled.iter().zip(&self.groups) {
            out.text(&compiled.rule.id);
            out.0.extend_from_slice(&compiled.definition);
            // The length lets a reader skip the groups of a correlation that it does not have.
            let mut body = Writer(Vec::new());
            body.groups(groups);
            out.unsigned(body.0.len() as u64);
            out.0.append(&mut body.0);
        }
        let digest = Sha256::digest(&out.0);
        out.0.extend_from_slice(&digest);
        out.0
    }

    /// A correlator that goes on where `snapshot` was taken, with the rules in force now:
    /// correlations that mean what they meant keep their groups, the others begin anew.
    pub fn restore(
        snapshot: &[u8],
        rules: &Arc<Correlations>,
        limits: Limits,
    ) -> Result<Restored, SnapshotError> {
        let body = checked(snapshot)?;
        let mut input = Reader(body);
        let mut correlator = Self::new(Arc::clone(rules), limits);
        let (clock, settled) = (input.signed()?, input.signed()?);
        let held = input.list(Reader::contribution)?;
        let arrivals = input.list(|input| {
            Ok(Step { first: input.signed()?, last: input.signed()?, latest: input.signed()? })
        })?;
        correlator.hold.restore(clock, settled, held, arrivals);
        let origins = input.list(|input| Ok((input.unsigned()?, input.origin()?)))?;
        let mut numbers = std::collections::HashMap::new();
        for (number, origin) in origins {
            // Taken once here so that it stays until the groups have taken theirs.
            let Origin { communes, entities } = &origin;
            numbers.insert(number, correlator.origins.take(communes, entities));
        }
        let mut adopted = Adopted::default();
        let count = input.unsigned()?;
        for _ in 0..count {
            let id = input.text()?;
            let definition: [u8; 16] = input.array()?;
            let length = input.unsigned()?;
            let mut body = Reader(input.take(length)?);
            let place = rules.compiled.iter().position(|compiled| compiled.rule.id == id);
            match place {
                Some(place) if rules.compiled[place].definition == definition => {
                    let groups = body.groups(&rules.compiled[place], &numbers)?;
                    let taken: Vec<u32> = groups
                        .parts()
                        .1
                        .flatten()
                        .flat_map(|group| group.state.entries().map(|entry| entry.origin))
                        .collect();
                    taken.into_iter().for_each(|number| correlator.origins.again(number));
                    correlator.groups[place] = groups;
                    adopted.kept += 1;
                }
                Some(_) => adopted.restarted.push(id),
                None => adopted.dropped.push(id),
            }
        }
        if !input.0.is_empty() {
            return Err(SnapshotError::Damaged("more follows where it should end"));
        }
        numbers.into_values().for_each(|number| correlator.origins.give_back(number));
        Ok(Restored { correlator, adopted })
    }
}

/// The body of `snapshot`, once its frame and digest are right.
fn checked(snapshot: &[u8]) -> Result<&[u8], SnapshotError> {
    let damaged = SnapshotError::Damaged;
    let rest = snapshot.strip_prefix(MAGIC).ok_or(damaged("it does not begin as one"))?;
    let version = *rest.first().ok_or(damaged("it is cut short"))?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let end = snapshot.len().checked_sub(DIGEST_BYTES).ok_or(damaged("it is cut short"))?;
    let (covered, digest) = snapshot.split_at(end);
    if Sha256::digest(covered)[..] != *digest {
        return Err(damaged("its digest does not fit its bytes"));
    }
    covered.get(MAGIC.len() + 1..).ok_or(damaged("it is cut short"))
}

struct Writer(Vec<u8>);

impl Writer {
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.unsigned(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn entities(&mut self, entities: &[Entity]) {
        self.unsigned(entities.len() as u64);
        for entity in entities {
            self.text(entity.kind.as_str());
            self.text(&entity.name);
        }
    }

    fn contribution(&mut self, contribution: &Contribution) {
        self.text(&contribution.rule);
        self.text(contribution.commune.as_str());
        self.text(contribution.feed.as_str());
        self.text(contribution.format.as_str());
        self.0.extend_from_slice(contribution.event_id.as_bytes());
        self.signed(contribution.timestamp.as_nanos());
        self.signed(contribution.received.as_nanos());
        self.entities(&contribution.entities);
        self.unsigned(contribution.values.len() as u64);
        for value in &contribution.values {
            self.text(&value.field);
            self.text(&value.value);
        }
    }

    fn origin(&mut self, origin: &Origin) {
        self.unsigned(origin.communes.len() as u64);
        for commune in &origin.communes {
            self.text(commune.as_str());
        }
        self.entities(&origin.entities);
    }

    fn entry(&mut self, entry: &Entry, base: i64) {
        self.signed(entry.at.wrapping_sub(base));
        self.0.extend_from_slice(&entry.event);
        self.0.extend_from_slice(&entry.value.to_le_bytes());
        self.unsigned(u64::from(entry.origin));
        self.unsigned(u64::from(entry.member));
    }

    fn entries(&mut self, entries: &[Entry], base: i64) {
        self.unsigned(entries.len() as u64);
        entries.iter().for_each(|entry| self.entry(entry, base));
    }

    fn groups(&mut self, groups: &Groups) {
        let (count, slots, free, hand) = groups.parts();
        self.unsigned(u64::from(hand));
        self.unsigned(free.len() as u64);
        for place in free {
            self.unsigned(u64::from(*place));
        }
        self.unsigned(count as u64);
        for slot in slots {
            self.0.push(u8::from(slot.is_some()));
            let Some(group) = slot else { continue };
            self.0.extend_from_slice(&group.key[0].to_le_bytes());
            self.0.extend_from_slice(&group.key[1].to_le_bytes());
            self.signed(group.touched);
            self.signed(group.quiet_until.wrapping_sub(group.touched));
            match &group.state {
                State::Window(window) => self.entries(window.live(), group.touched),
                State::Temporal(temporal) => self.entries(temporal.all(), group.touched),
            }
        }
    }
}

struct Reader<'b>(&'b [u8]);

type Numbers = std::collections::HashMap<u64, u32>;

impl<'b> Reader<'b> {
    fn take(&mut self, length: u64) -> Result<&'b [u8], SnapshotError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(SnapshotError::Damaged("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    fn unsigned(&mut self) -> Result<u64, SnapshotError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(SnapshotError::Damaged("a number does not end"))
    }

    fn signed(&mut self) -> Result<i64, SnapshotError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn text(&mut self) -> Result<String, SnapshotError> {
        let length = self.unsigned()?;
        String::from_utf8(self.take(length)?.to_vec())
            .map_err(|_| SnapshotError::Damaged("a text is not UTF-8"))
    }

    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, SnapshotError>,
    ) -> Result<Vec<T>, SnapshotError> {
        let count = self.unsigned()?;
        // Every item has a byte at least, so that no count makes it reserve more than there is.
        let mut items =
            Vec::with_capacity(usize::try_from(count).unwrap_or(usize::MAX).min(self.0.len()));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn slug<T: std::str::FromStr>(&mut self) -> Result<T, SnapshotError> {
        self.text()?.parse().map_err(|_| SnapshotError::Damaged("a name is none"))
    }

    fn entities(&mut self) -> Result<Vec<Entity>, SnapshotError> {
        const KINDS: [EntityKind; 3] = [EntityKind::Host, EntityKind::Device, EntityKind::User];
        self.list(|input| {
            let word = input.text()?;
            let kind = KINDS.into_iter().find(|kind| kind.as_str() == word);
            let kind = kind.ok_or(SnapshotError::Damaged("an entity is of no kind"))?;
            Ok(Entity { kind, name: input.text()? })
        })
    }

    fn contribution(&mut self) -> Result<Contribution, SnapshotError> {
        Ok(Contribution {
            rule: self.text()?,
            commune: self.slug()?,
            feed: self.slug::<FeedId>()?,
            format: self.slug()?,
            event_id: EventId::from_bytes(self.array()?),
            timestamp: Timestamp::from_nanos(self.signed()?),
            received: Timestamp::from_nanos(self.signed()?),
            entities: self.entities()?,
            values: self
                .list(|input| Ok(MatchedField { field: input.text()?, value: input.text()? }))?,
        })
    }

    fn origin(&mut self) -> Result<Origin, SnapshotError> {
        Ok(Origin { communes: self.list(Self::slug::<CommuneId>)?, entities: self.entities()? })
    }

    fn entry(&mut self, base: i64, numbers: &Numbers) -> Result<Entry, SnapshotError> {
        let at = self.signed()?.wrapping_add(base);
        let event = self.array()?;
        let value = u64::from_le_bytes(self.array()?);
        let number = self.unsigned()?;
        let origin = numbers.get(&number).copied();
        let member = u16::try_from(self.unsigned()?)
            .map_err(|_| SnapshotError::Damaged("a rule is out of range"))?;
        // A rule that has not matched has no origin.
        let origin = match origin {
            Some(origin) => origin,
            None if at == i64::MIN => u32::MAX,
            None => return Err(SnapshotError::Damaged("an origin is missing")),
        };
        Ok(Entry { at, event, value, origin, member })
    }

    fn entries(&mut self, base: i64, numbers: &Numbers) -> Result<Vec<Entry>, SnapshotError> {
        self.list(|input| input.entry(base, numbers))
    }

    fn groups(&mut self, rule: &Compiled, numbers: &Numbers) -> Result<Groups, SnapshotError> {
        let hand = u32::try_from(self.unsigned()?).unwrap_or(u32::MAX);
        let free = self.list(|input| Ok(u32::try_from(input.unsigned()?).unwrap_or(u32::MAX)))?;
        let slots = self.list(|input| {
            Ok(if input.array::<1>()? == [0] { None } else { Some(input.group(rule, numbers)?) })
        })?;
        Groups::restore(slots.into_iter(), free, hand)
            .ok_or(SnapshotError::Damaged("its groups do not fit together"))
    }

    fn group(&mut self, rule: &Compiled, numbers: &Numbers) -> Result<Group, SnapshotError> {
        let key = [u64::from_le_bytes(self.array()?), u64::from_le_bytes(self.array()?)];
        let touched = self.signed()?;
        let quiet_until = self.signed()?.wrapping_add(touched);
        let state = if rule.kind.is_temporal() {
            let entries = self.entries(touched, numbers)?;
            let temporal = Temporal::restore(entries, rule);
            State::Temporal(
                temporal.ok_or(SnapshotError::Damaged("a group does not fit its correlation"))?,
            )
        } else {
            State::Window(Window::restore(self.entries(touched, numbers)?, rule.kind))
        };
        Ok(Group { key, quiet_until, touched, state })
    }
}
