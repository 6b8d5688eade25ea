//! Quotas of communes and feeds, kept as records come in.
//!
//! Each bound is a debt that is paid off at the bound's rate. Whoever is in debt may not send;
//! whoever is not may send a batch of any size, and is in debt for as long as it takes to pay it
//! off. So the average is kept whatever the batches' size, and no batch is too large to come in
//! ever. Who sent nothing for a while may send [`SAVED_MAX`] of the rate at once.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use event::{Feed, Owner, Quota};

/// How much that was not sent may be sent later.
const SAVED_MAX: Duration = Duration::from_secs(10);

/// What a feed sends.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The feed.
    pub feed: &'a Feed,
    /// Records.
    pub records: u64,
    /// Their raw bytes.
    pub bytes: u64,
}

impl<'a> Load<'a> {
    /// Nothing yet: to ask whether the feed may send.
    pub fn nothing(feed: &'a Feed) -> Self {
        Self { feed, records: 0, bytes: 0 }
    }
}

/// Somebody sent more than may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverQuota {
    /// Whose quota it is.
    pub of: Owner,
    /// Its bound.
    pub per_s: u64,
    /// Of what.
    pub unit: Unit,
    /// For how long nothing more is taken.
    pub wait: Duration,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Records.
    Records,
    /// Bytes.
    Bytes,
}

impl fmt::Display for OverQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Records => "records",
            Unit::Bytes => "bytes",
        };
        write!(f, "{} sends more than its quota of {} {unit} a second", self.of, self.per_s)
    }
}

/// All quotas, and what stands against each.
#[derive(Debug, Default)]
pub struct Quotas {
    /// Whether there is one at all, so that most installations never lock.
    is_bounded: AtomicBool,
    accounts: Mutex<HashMap<Owner, [Account; 2]>>,
}

/// One bound.
#[derive(Clone, Copy, Debug)]
struct Account {
    per_s: Option<u64>,
    /// When the debt is paid off; in the past where there is none.
    free_at: Option<Instant>,
}

impl Account {
    fn charge(&mut self, n: u64, now: Instant) {
        let Some(per_s) = self.per_s else { return };
        let nanos = u128::from(n) * 1_000_000_000 / u128::from(per_s.max(1));
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let saved = now.checked_sub(SAVED_MAX).unwrap_or(now);
        let from = self.free_at.map_or(saved, |free_at| free_at.max(saved));
        // So far away that nobody waits for it: then it stays where it is.
        self.free_at = from.checked_add(time).or(self.free_at);
    }
}

impl Quotas {
    /// Puts `quotas` in force instead of those before. Debts stay.
    pub fn set(&self, quotas: impl IntoIterator<Item = (Owner, Quota)>) {
        let mut accounts = self.accounts();
        let old = std::mem::take(&mut *accounts);
        for (of, quota) in quotas.into_iter().filter(|(_, quota)| !quota.is_unbounded()) {
            let free_at = old.get(&of).map_or([None; 2], |old| old.map(|account| account.free_at));
            let records = Account { per_s: quota.records_per_s, free_at: free_at[0] };
            let bytes = Account { per_s: quota.bytes_per_s, free_at: free_at[1] };
            accounts.insert(of, [records, bytes]);
        }
        self.is_bounded.store(!accounts.is_empty(), Ordering::Release);
    }

    /// Charges all `shares`, or none where the quota of one's feed or commune is used up.
    pub fn admit(&self, shares: &[Load<'_>]) -> Result<(), OverQuota> {
        self.admit_at(shares, Instant::now)
    }

    fn admit_at(&self, shares: &[Load<'_>], now: impl Fn() -> Instant) -> Result<(), OverQuota> {
        if !self.is_bounded.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut accounts = self.accounts();
        let now = now();
        for share in shares {
            for of in whose(share.feed) {
                let Some(account) = accounts.get(&of) else { continue };
                for (account, unit) in account.iter().zip([Unit::Records, Unit::Bytes]) {
                    let (Some(per_s), Some(free_at)) = (account.per_s, account.free_at) else {
                        continue;
                    };
                    if free_at > now {
                        return Err(OverQuota { of, per_s, unit, wait: free_at - now });
                    }
                }
            }
        }
        for share in shares {
            for of in whose(share.feed) {
                if let Some([records, bytes]) = accounts.get_mut(&of) {
                    records.charge(share.records, now);
                    bytes.charge(share.bytes, now);
                }
            }
        }
        Ok(())
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Owner, [Account; 2]>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed's own quota first: who is told of it can mend it.
fn whose(feed: &Feed) -> [Owner; 2] {
    [Owner::Feed(feed.id.clone()), Owner::Commune(feed.commune.clone())]
}

#[cfg(test)]
mod tests {
    use event::{CommuneId, FeedId, FormatName, Timestamp};

    use super::*;

    fn feed(id: &str, commune: &str) -> Feed {
        Feed {
            id: FeedId::new(id).unwrap(),
            commune: CommuneId::new(commune).unwrap(),
            format: FormatName::new("json").unwrap(),
            name: id.to_owned(),
            created: Timestamp::now(),
        }
    }

    fn commune(id: &str) -> Owner {
        Owner::Commune(CommuneId::new(id).unwrap())
    }

    fn records(per_s: u64) -> Quota {
        Quota { records_per_s: Some(per_s), bytes_per_s: None }
    }

    /// Sends batches of `records` every `every` for `total`; how many records went through.
    fn sent(quotas: &Quotas, feed: &Feed, records: u64, every: Duration, total: Duration) -> u64 {
        let begin = Instant::now() + SAVED_MAX;
        let mut taken = 0;
        let mut at = Duration::ZERO;
        while at < total {
            let share = Load { feed, records, bytes: records * 100 };
            taken += quotas.admit_at(&[share], || begin + at).map_or(0, |()| records);
            at += every;
        }
        taken
    }

    #[test]
    fn five_times_the_quota_is_cut_to_the_quota() {
        let minute = Duration::from_secs(60);
        for batch in [1, 50, 500, 5_000] {
            let quotas = Quotas::default();
            quotas.set([(commune("a"), records(100))]);
            let every = Duration::from_millis(batch * 2);
            let taken = sent(&quotas, &feed("a-pc", "a"), batch, every, minute);
            // Ten seconds' worth was saved, and the last batch may stand in debt.
            let expected = 100 * (60 + 10);
            assert!((expected - batch..=expected + batch).contains(&taken), "{batch}: {taken}");
        }
    }

    #[test]
    fn the_quota_itself_is_never_cut() {
        let quotas = Quotas::default();
        quotas.set([(commune("a"), records(100))]);
        let taken = sent(
            &quotas,
            &feed("a-pc", "a"),
            10,
            Duration::from_millis(100),
            Duration::from_secs(60),
        );
        assert_eq!(taken, 6_000);
    }

    #[test]
    fn a_commune_over_its_quota_burdens_no_other() {
        let quotas = Quotas::default();
        quotas.set([(commune("a"), records(1)), (commune("b"), records(100))]);
        let (greedy, other) = (feed("a-pc", "a"), feed("b-pc", "b"));
        let share = |feed, records| Load { feed, records, bytes: 0 };
        quotas.admit(&[share(&greedy, 1_000)]).unwrap();
        let over = quotas.admit(&[share(&greedy, 1)]).unwrap_err();
        assert_eq!((&over.of, over.per_s, over.unit), (&commune("a"), 1, Unit::Records));
        assert!(over.wait > Duration::from_secs(980) && over.wait < Duration::from_secs(991));
        // Its sister of the same commune neither; the other commune's feed at any time.
        quotas.admit(&[Load::nothing(&feed("a-mtd", "a"))]).unwrap_err();
        quotas.admit(&[share(&other, 100)]).unwrap();
        // Nothing of a request that also bears a feed in debt is charged.
        for _ in 0..100 {
            quotas.admit(&[share(&other, 1_000), share(&greedy, 1)]).unwrap_err();
        }
        quotas.admit(&[share(&other, 100)]).unwrap();
    }

    #[test]
    fn quotas_change_while_they_are_used() {
        let quotas = Quotas::default();
        let feed = feed("a-pc", "a");
        let of = Owner::Feed(feed.id.clone());
        let bytes = Quota { records_per_s: None, bytes_per_s: Some(10) };
        let big = Load { feed: &feed, records: 1, bytes: 10_000 };
        quotas.admit(&[big]).unwrap();
        quotas.set([(of.clone(), bytes)]);
        quotas.admit(&[big]).unwrap();
        assert_eq!(quotas.admit(&[big]).unwrap_err().unit, Unit::Bytes);
        quotas.set([(of.clone(), bytes), (commune("b"), records(5))]);
        quotas.admit(&[big]).expect_err("the debt stays");
        quotas.set([(of, Quota::default())]);
        quotas.admit(&[big]).unwrap();
    }
}
