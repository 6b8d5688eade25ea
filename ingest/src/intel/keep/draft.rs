//! What a source says now, before it is kept.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use event::{Indicator, Timestamp};

use super::{
    KeepError, Kept, KeptRefusal, REFUSED_KEPT_MAX,
    file::{self, Body, Line},
};
use crate::intel::sink::{Refused, Sink};

/// How long what no longer holds is kept, for events that come late.
const EXPIRED_KEPT: Duration = Duration::from_hours(90 * 24);

/// A sink that writes to a file without a name, so that the size of what a source says is no
/// question of memory; only the names of groups are held.
pub struct Draft {
    dir: PathBuf,
    body: Option<Body>,
    count: u64,
    indicators_max: u64,
    /// The page being read, from 1.
    page: u32,
    /// By group: the page whose word on it stands.
    groups: HashMap<Box<str>, u32>,
    refused: Vec<KeptRefusal>,
    refused_total: u64,
    failed: Option<io::Error>,
}

impl Draft {
    pub(super) fn new(dir: &Path, indicators_max: u64) -> Result<Self, KeepError> {
        let open = || file::body(tempfile::tempfile_in(dir)?);
        Ok(Self {
            dir: dir.to_owned(),
            body: Some(open().map_err(KeepError::io(dir))?),
            count: 0,
            indicators_max,
            page: 1,
            groups: HashMap::new(),
            refused: Vec::new(),
            refused_total: 0,
            failed: None,
        })
    }

    /// How many indicators it was given.
    pub fn indicators(&self) -> u64 {
        self.count
    }

    /// What was refused, at most 200 of them, and how many in all.
    pub fn refused(&self) -> (&[KeptRefusal], u64) {
        (&self.refused, self.refused_total)
    }

    pub(super) fn commit(
        &mut self,
        path: &Path,
        with_old: bool,
        mut kept: Kept,
        now: Timestamp,
    ) -> Result<Kept, KeepError> {
        if let Some(error) = self.failed.take() {
            return Err(KeepError::io(&self.dir)(error));
        }
        if self.count > self.indicators_max {
            return Err(KeepError::TooMany(self.indicators_max));
        }
        let failed = || KeepError::io(path);
        let Some(drafted) = self.body.take() else {
            return Err(failed()(io::Error::other("the draft was kept before")));
        };
        let mut drafted = file::finish(drafted).map_err(failed())?;
        let staged = tempfile::tempfile_in(&self.dir).map_err(failed())?;
        let mut merge = Merge {
            body: file::body(staged).map_err(failed())?,
            count: 0,
            failed: None,
            expired: now.minus(EXPIRED_KEPT),
        };
        if with_old {
            file::read(path, &mut |line| {
                let stands = !line.group.as_deref().is_some_and(|g| self.groups.contains_key(g));
                merge.take(&line, stands);
            })?;
        }
        drafted.seek(SeekFrom::Start(0)).map_err(failed())?;
        file::lines(drafted, &mut |mut line| {
            let latest = line.group.as_deref().and_then(|group| self.groups.get(group));
            let stands = latest.is_none_or(|page| *page == line.page);
            line.page = 0;
            merge.take(&line, stands);
        })
        .map_err(failed())?;
        let (body, count) = merge.finish().map_err(failed())?;
        if count > self.indicators_max {
            return Err(KeepError::TooMany(self.indicators_max));
        }
        kept.indicators = count;
        kept.changed = Some(now);
        kept.refused = std::mem::take(&mut self.refused);
        kept.refused_total = self.refused_total;
        file::replace(path, &kept, body).map_err(failed())?;
        Ok(kept)
    }
}

/// The body that old and new lines go into.
struct Merge {
    body: Body,
    count: u64,
    failed: Option<io::Error>,
    expired: Timestamp,
}

impl Merge {
    fn take(&mut self, line: &Line, stands: bool) {
        let expired = line.indicator.valid_until.is_some_and(|until| until < self.expired);
        if stands && !expired && self.failed.is_none() {
            self.count += 1;
            self.failed = file::write_line(&mut self.body, line).err();
        }
    }

    fn finish(self) -> io::Result<(File, u64)> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok((file::finish(self.body)?, self.count)),
        }
    }
}

impl Sink for Draft {
    fn indicator(&mut self, group: Option<&str>, indicator: Indicator) {
        self.count += 1;
        // Past the most it is refused as a whole, so the rest is not worth its space.
        if self.count > self.indicators_max || self.failed.is_some() {
            return;
        }
        if let Some(group) = group {
            self.groups.insert(group.into(), self.page);
        }
        let line = Line { group: group.map(str::to_owned), page: self.page, indicator };
        if let Some(body) = &mut self.body {
            self.failed = file::write_line(body, &line).err();
        }
    }

    fn refused(&mut self, refused: Refused) {
        self.refused_total += 1;
        if self.refused.len() < REFUSED_KEPT_MAX {
            self.refused.push(KeptRefusal { place: refused.place, reason: refused.reason });
        }
    }

    fn withdrawn(&mut self, group: &str) {
        self.groups.insert(group.into(), self.page);
    }

    fn page(&mut self) {
        self.page = self.page.saturating_add(1);
    }
}
