//! Opening what an earlier process left: only the last segment is scanned, as the ones before
//! it were complete and durable before it came to be; damage in those is found when read.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io,
    sync::Arc,
};

use super::{
    OpenError,
    committer::End,
    cursors::CursorFile,
    disk::{is_out_of_space, sync_dir},
    frame::{ALIGN, HEADER_BYTES, Header, Kind, encode_mark},
    log::spot,
    mend::set_aside,
    quarantine::{Damage, Quarantine},
    scan::{Item, Scanner, last_nonzero, next_whole},
    segment::{Home, Previous, SEGMENT_HEADER_BYTES, Segment},
    state::{GroupState, State},
};

const HEADER: u64 = HEADER_BYTES as u64;

/// A topic, ready to go on.
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) cursors: Vec<CursorFile>,
    pub(super) end: End,
}

/// Opens the topic of `home`, mending what is broken.
pub(super) fn recover(home: &Home, quarantine: &Quarantine) -> Result<Recovered, OpenError> {
    let fail = |source: io::Error| OpenError::Io { path: home.dir.display().to_string(), source };
    std::fs::create_dir_all(&home.dir).map_err(fail)?;
    home.dir.parent().map_or(Ok(()), sync_dir).map_err(fail)?;
    let bases = home.list().map_err(fail)?;
    let cursors = open_cursors(home, quarantine)?;
    // An offset that a group has passed is never given out again, whatever became of the file.
    let passed = cursors.iter().map(CursorFile::next).max().unwrap_or(0);
    let mut segments = open_segments(home, quarantine, &bases)?;
    let end = match segments.back() {
        Some(last) => resume(home, quarantine, Arc::clone(last), passed).map_err(fail)?,
        None => {
            let own = Previous { base: passed, end: 0 };
            let segment = home.create(passed, 0, own, home.segment_bytes).map_err(fail)?;
            let segment = Arc::new(segment);
            segments.push_back(Arc::clone(&segment));
            let pos = SEGMENT_HEADER_BYTES;
            End { segment, pos, durable: pos, capacity: home.segment_bytes, next: passed }
        }
    };
    let state = group_state(home, segments, &cursors, &end).map_err(fail)?;
    Ok(Recovered { state, cursors, end })
}

fn open_cursors(home: &Home, quarantine: &Quarantine) -> Result<Vec<CursorFile>, OpenError> {
    let mut cursors = Vec::new();
    for group in home.topic.groups() {
        let opened = CursorFile::open(&home.dir, *group, Arc::clone(&home.disk))?;
        let cursor = opened.cursor;
        if opened.damaged {
            let put = quarantine.put(&Damage {
                label: &format!("{}-{}", home.topic.as_str(), group.as_str()),
                file: cursor.file(),
                path: cursor.path(),
                from: 0,
                to: cursor.file().metadata().map_or(0, |meta| meta.len()),
                what: "no whole cursor here; the group reads again from the oldest record there \
                       is, none is lost"
                    .to_owned(),
            });
            let path = cursor.path().display().to_string();
            put.map_err(|source| OpenError::Io { path, source })?;
        }
        cursors.push(cursor);
    }
    Ok(cursors)
}

/// Opens every segment and checks the chain of their headers.
fn open_segments(
    home: &Home,
    quarantine: &Quarantine,
    bases: &[u64],
) -> Result<VecDeque<Arc<Segment>>, OpenError> {
    let mut files = Vec::new();
    for base in bases {
        let path = home.path(*base);
        let fail = |source| OpenError::Io { path: path.display().to_string(), source };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        let before = files.last().map(|(base, _, len)| Previous { base: *base, end: *len });
        let header = home.read_header(&file, *base)?;
        let previous = check_chain(home, quarantine, &file, *base, header, before);
        let previous = previous.map_err(fail)?;
        if let Some((_, _, end)) = files.last_mut()
            && previous.end != 0
        {
            // The header knows better than the length: a roll may have been cut short, or the
            // file since.
            *end = previous.end;
        }
        files.push((*base, file, len.max(SEGMENT_HEADER_BYTES)));
    }
    let mut start_bytes = 0;
    let wrap = |(base, file, end): (u64, File, u64)| {
        let segment = home.segment(base, start_bytes, home.path(base), file, end);
        start_bytes += end;
        Arc::new(segment)
    };
    Ok(files.into_iter().map(wrap).collect())
}

/// Says what is before the segment; where its header is damaged or names a segment that is not
/// there, reports that and writes the header anew.
fn check_chain(
    home: &Home,
    quarantine: &Quarantine,
    file: &File,
    base: u64,
    header: Option<Previous>,
    before: Option<Previous>,
) -> io::Result<Previous> {
    let what = match (header, before) {
        (Some(header), Some(before)) if header.base != before.base && header.base != base => {
            format!(
                "the segment {:020} before this one is missing; its records are lost, the \
                 offsets below {base}",
                header.base
            )
        }
        // Those before the first were passed by every group and removed.
        (Some(header), _) => return Ok(header),
        (None, _) => "no whole segment header here; written anew, no record lost".to_owned(),
    };
    let path = home.path(base);
    quarantine.put(&Damage {
        label: &format!("{}-{base:020}", home.topic.as_str()),
        file,
        path: &path,
        from: 0,
        to: SEGMENT_HEADER_BYTES,
        what,
    })?;
    let previous = before.unwrap_or(Previous { base, end: 0 });
    home.write_header(file, base, previous)?;
    home.disk.sync_data(file)?;
    Ok(previous)
}

/// Where a scan of the last segment ended.
struct Scanned {
    pos: u64,
    next: u64,
    /// The last frame is a mark, so all before it is known to be durable.
    marked: bool,
}

/// Finds the end of the log and makes it durable.
fn resume(
    home: &Home,
    quarantine: &Quarantine,
    segment: Arc<Segment>,
    passed: u64,
) -> io::Result<End> {
    let Scanned { mut pos, next, marked } = scan(home, quarantine, &segment)?;
    let next = next.max(passed);
    if let Err(error) = home.disk.allocate(&segment.file, home.segment_bytes) {
        if !is_out_of_space(&error) {
            return Err(error);
        }
        tracing::warn!(path = %segment.path.display(), %error, "the disk has no room for the rest of the segment");
    }
    // What was read may so far be in the page cache only.
    home.disk.sync_data(&segment.file)?;
    let durable = pos;
    let capacity = segment.file.metadata()?.len();
    if !marked && pos + HEADER <= capacity {
        let mark = encode_mark(spot(&segment, next, pos, pos));
        home.disk.write_all_at(&segment.file, &mark, pos)?;
        pos += HEADER;
    }
    segment.set_end(durable);
    Ok(End { segment, pos, durable, capacity, next })
}

fn scan(home: &Home, quarantine: &Quarantine, segment: &Arc<Segment>) -> io::Result<Scanned> {
    let limit = segment.end();
    let mut next = segment.base;
    let mut marked = false;
    let mut scanner = Scanner::new(Arc::clone(segment), SEGMENT_HEADER_BYTES, limit, next);
    loop {
        match scanner.next()? {
            Item::Data(header, _) => {
                segment.note(header.first, header.pos);
                (next, marked) = (header.next_offset(), false);
            }
            Item::Gap(header) => (next, marked) = (header.next_offset(), false),
            Item::Mark(header) => (next, marked) = (header.first, true),
            Item::End => return Ok(Scanned { pos: limit, next, marked }),
            Item::Bad(header) => {
                let pos = scanner.pos();
                let Some(last) = last_nonzero(segment, pos, limit)? else {
                    return Ok(Scanned { pos, next, marked });
                };
                let Some(after) = next_whole(segment, pos + ALIGN, last + 1, limit, next)? else {
                    let rest = Rest { pos, last, next, header };
                    return cut(home, quarantine, segment, &rest, marked);
                };
                let known = if after.durable > pos {
                    "; they were acknowledged"
                } else {
                    "; they may never have been acknowledged"
                };
                let lost = next..after.first;
                set_aside(home, quarantine, segment, pos..after.pos, lost, known)?;
                (next, marked) = (after.first, false);
                scanner = Scanner::new(Arc::clone(segment), after.pos, limit, next);
            }
        }
    }
}

/// What follows the last whole frame.
struct Rest {
    pos: u64,
    /// Its last byte that is not zero.
    last: u64,
    next: u64,
    header: Option<Header>,
}

/// Ends the log at its last whole frame. Shortening the file and allocating it again leaves
/// zeros, so that no stale frame can ever be taken for a new one.
fn cut(
    home: &Home,
    quarantine: &Quarantine,
    segment: &Arc<Segment>,
    rest: &Rest,
    marked: bool,
) -> io::Result<Scanned> {
    let Rest { pos, last, next, header } = *rest;
    // A write that was cut short leaves zeros where the rest of its frame belongs. One that is
    // there to its end but does not add up may have been whole, and acknowledged, once.
    let whole = header.filter(|header| {
        let body_end = pos + HEADER + u64::from(header.body_bytes);
        header.kind == Kind::Data && header.first >= next && last + ALIGN >= body_end
    });
    if let Some(header) = whole {
        quarantine.put(&Damage {
            label: &format!("{}-{:020}", home.topic.as_str(), segment.base),
            file: &segment.file,
            path: &segment.path,
            from: pos,
            to: last + 1,
            what: format!(
                "the last frame does not add up; {} records lost, offsets {next}..{}; they may \
                 never have been acknowledged",
                header.next_offset() - next,
                header.next_offset()
            ),
        })?;
    } else {
        tracing::warn!(
            path = %segment.path.display(),
            pos,
            bytes = last + 1 - pos,
            "cut a write that was never completed off the end of the journal"
        );
    }
    segment.file.set_len(pos)?;
    home.disk.sync_data(&segment.file)?;
    let Some(header) = whole else {
        return Ok(Scanned { pos, next, marked });
    };
    let gap = Header {
        kind: Kind::Gap,
        body_bytes: 0,
        count: (header.next_offset() - next).try_into().unwrap_or(u32::MAX),
        first: next,
        pos,
        durable: pos,
        body_crc: 0,
    };
    home.disk.write_all_at(&segment.file, &gap.encode(segment.salt), pos)?;
    Ok(Scanned { pos: pos + HEADER, next: header.next_offset(), marked: false })
}

/// Groups as their cursors say, without the segments that all of them have passed.
fn group_state(
    home: &Home,
    segments: VecDeque<Arc<Segment>>,
    cursors: &[CursorFile],
    end: &End,
) -> io::Result<State> {
    let end_bytes = end.segment.start_bytes + end.durable;
    let mut state = State::new(segments, Vec::new(), end.next, end_bytes);
    for (group, cursor) in home.topic.groups().iter().zip(cursors) {
        let committed = cursor.next();
        state.index_to(committed)?;
        let passed_bytes = state.bytes_before(committed);
        let group = GroupState { group: *group, committed, passed_bytes, has_reader: false };
        state.groups.push(group);
    }
    Ok(state)
}

impl State {
    /// Fills the index of the segment that holds `offset` up to there.
    fn index_to(&self, offset: u64) -> io::Result<()> {
        let Some(segment) = self.segment_of(offset).filter(|_| offset < self.end) else {
            return Ok(());
        };
        let (floor, pos) = segment.near(offset);
        let mut scanner = Scanner::new(Arc::clone(&segment), pos, segment.end(), floor);
        loop {
            match scanner.next()? {
                Item::Data(header, _) if header.first <= offset => {
                    segment.note(header.first, header.pos);
                }
                Item::Mark(_) | Item::Gap(_) => {}
                // Damage is mended when it is read.
                Item::Data(..) | Item::Bad(_) | Item::End => return Ok(()),
            }
        }
    }
}
