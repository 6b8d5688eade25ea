//! Setting damage aside so that reading goes on.

use std::{io, ops::Range, sync::Arc};

use super::{
    frame::{ALIGN, HEADER_BYTES, Header, Kind},
    lock,
    log::Log,
    quarantine::{Damage, Quarantine},
    scan::{Item, Scanner, next_whole},
    segment::{Home, Segment},
};

impl Log {
    /// Moves damage that begins at `from` aside, up to the next whole frame or `limit`, and
    /// gives the place to go on from. `next` is the offset expected there.
    pub(super) fn mend(
        &self,
        segment: &Arc<Segment>,
        from: u64,
        limit: u64,
        next: u64,
        header: Option<Header>,
    ) -> io::Result<u64> {
        let _one = lock(&self.repair);
        // Another reader may have mended it meanwhile.
        let mut again = Scanner::new(Arc::clone(segment), from, limit, next);
        if !matches!(again.next()?, Item::Bad(_)) {
            return Ok(from);
        }
        let after = next_whole(segment, from + ALIGN, limit, limit, next)?;
        let to = after.map_or(limit, |header| header.pos);
        let known = header.filter(|header| header.first >= next).map(|header| header.next_offset());
        let resumes = match (after, self.segment_after(segment.base)) {
            (Some(header), _) => header.first,
            (None, Some(following)) => following.base,
            (None, None) => known.unwrap_or(next).max(self.tail.borrow().end),
        };
        set_aside(&self.home, &self.quarantine, segment, from..to, next..resumes, "")?;
        Ok(to)
    }
}

/// Copies a damaged range to the quarantine and puts a gap frame in its place, so that the
/// damage is found once and its offsets are never given out again.
pub(super) fn set_aside(
    home: &Home,
    quarantine: &Quarantine,
    segment: &Segment,
    range: Range<u64>,
    lost: Range<u64>,
    remark: &str,
) -> io::Result<()> {
    let count = lost.end.saturating_sub(lost.start);
    quarantine.put(&Damage {
        label: &format!("{}-{:020}", home.topic.as_str(), segment.base),
        file: &segment.file,
        path: &segment.path,
        from: range.start,
        to: range.end,
        what: format!(
            "no whole frame here; {count} records lost, offsets {}..{}{remark}",
            lost.start, lost.end
        ),
    })?;
    let Some(body_bytes) = (range.end - range.start).checked_sub(HEADER_BYTES as u64) else {
        // Too short for a frame, so it is the rest of a segment that lost its end.
        return Ok(());
    };
    let header = Header {
        kind: Kind::Gap,
        body_bytes: body_bytes.try_into().unwrap_or(u32::MAX),
        count: count.try_into().unwrap_or(u32::MAX),
        first: lost.start,
        pos: range.start,
        durable: range.start,
        body_crc: 0,
    };
    if segment.file.metadata()?.len() < range.end {
        segment.file.set_len(range.end)?;
    }
    home.disk.write_all_at(&segment.file, &header.encode(segment.salt), range.start)?;
    home.disk.sync_data(&segment.file)
}
