//! How much communes and feeds may send, shown with how long they are kept.

use std::collections::HashMap;

use event::{Commune, Feed, Owner, Quota};
use serde::Serialize;
use store::{Scope, db::DbError};

use crate::{Api, ask::Ask, keeping, problem::Problem};

/// A commune or feed with its quota and days, where it has any.
#[derive(Serialize)]
pub(crate) struct WithQuota<T> {
    #[serde(flatten)]
    of: T,
    #[serde(skip_serializing_if = "Quota::is_unbounded")]
    quota: Quota,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u32>,
}

/// What has quotas.
pub(crate) trait Bounded {
    fn owner(&self) -> Owner;
}

impl Bounded for Commune {
    fn owner(&self) -> Owner {
        Owner::Commune(self.id.clone())
    }
}

impl Bounded for Feed {
    fn owner(&self) -> Owner {
        Owner::Feed(self.id.clone())
    }
}

/// Each of `items` with its quota.
pub(crate) async fn with_quotas<T: Bounded>(
    api: &Api,
    scope: &Scope,
    items: Vec<T>,
) -> Result<Vec<WithQuota<T>>, Problem> {
    let quotas = api.db.quotas(scope).await.map_err(Problem::of_db)?;
    let quotas: HashMap<Owner, Quota> = quotas.into_iter().collect();
    let days = keeping::days(api, scope).await?;
    let each = items.into_iter().map(|of| {
        let owner = of.owner();
        let quota = quotas.get(&owner).copied().unwrap_or_default();
        WithQuota { of, quota, retention_days: days.get(&owner).copied() }
    });
    Ok(each.collect())
}

/// One with its quota.
pub(crate) async fn with_quota<T: Bounded>(
    api: &Api,
    scope: &Scope,
    item: T,
) -> Result<Option<WithQuota<T>>, Problem> {
    Ok(with_quotas(api, scope, vec![item]).await?.pop())
}

/// Sets the quota of what was found; a bound that the request leaves out is none.
pub(crate) async fn set<T: Bounded>(
    api: &Api,
    ask: &mut Ask,
    of: T,
) -> Result<WithQuota<T>, Problem> {
    let quota = Quota {
        records_per_s: ask.fields.optional("records_per_s")?,
        bytes_per_s: ask.fields.optional("bytes_per_s")?,
    };
    let owner = of.owner();
    api.db.set_quota(&owner, quota).await.map_err(|error| match error {
        DbError::Refused(reason) => {
            let zero = if quota.records_per_s == Some(0) { "records_per_s" } else { "bytes_per_s" };
            Problem::content(&format!("#/{zero}"), reason)
        }
        error => Problem::of_db(error),
    })?;
    (api.feeds_changed)();
    let retention_days = keeping::days(api, ask.scope()).await?.get(&owner).copied();
    Ok(WithQuota { of, quota, retention_days })
}
