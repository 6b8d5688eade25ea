//! What may be registered: tokens, communes, feeds.

use event::{Commune, Feed, Quota};

use super::DbError;
use crate::auth::{Role, TokenInfo};

const NAME_CHARS_MAX: usize = 200;

/// Refuses a token that could never work or whose name would not fit a path or a log line.
pub(super) fn check_token(token: &TokenInfo) -> Result<(), DbError> {
    let name = &token.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if !(1..=63).contains(&name.len()) || !name.chars().all(fits) || matches!(&**name, "." | "..") {
        let shown: String = name.chars().take(80).collect();
        return refuse(format!(
            "{shown:?} is no token name: use 1 to 63 of a-z, A-Z, 0-9, '.', '_', '-' and '@'"
        ));
    }
    match &token.communes {
        Some(_) if token.role == Role::Admin => {
            return refuse("an admin token spans all communes; leave the communes out".to_owned());
        }
        Some(communes) if communes.is_empty() => {
            return refuse(
                "the token names no commune; name at least one, or leave the communes out for all"
                    .to_owned(),
            );
        }
        _ => {}
    }
    match token.expires {
        Some(expires) if expires <= token.created => {
            refuse(format!("the token would expire at {expires}, before it begins"))
        }
        _ => Ok(()),
    }
}

/// Refuses a commune without a name to show.
pub(super) fn check_commune(commune: &Commune) -> Result<(), DbError> {
    check_name("commune", &commune.name)
}

/// Refuses a feed without a name to show.
pub(super) fn check_feed(feed: &Feed) -> Result<(), DbError> {
    check_name("feed", &feed.name)
}

/// Refuses a bound that would stop everything.
pub(super) fn check_quota(quota: &Quota) -> Result<(), DbError> {
    let bounds = [("records_per_s", quota.records_per_s), ("bytes_per_s", quota.bytes_per_s)];
    match bounds.iter().find(|(_, bound)| *bound == Some(0)) {
        Some((name, _)) => refuse(format!(
            "{name} is 0; give at least 1, leave it out for no bound, or change the feed's key to \
             let nothing in"
        )),
        None => Ok(()),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), DbError> {
    let chars = name.chars().count();
    if name.trim().is_empty() {
        refuse(format!("the {what}'s name is empty"))
    } else if chars > NAME_CHARS_MAX {
        refuse(format!("the {what}'s name has {chars} characters; use at most {NAME_CHARS_MAX}"))
    } else if name.chars().any(char::is_control) {
        refuse(format!("the {what}'s name has control characters; leave them out"))
    } else {
        Ok(())
    }
}

fn refuse(reason: String) -> Result<(), DbError> {
    Err(DbError::Refused(reason))
}
