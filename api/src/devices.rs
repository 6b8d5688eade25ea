//! The hosts and phones of a feed, and its inventory.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{FeedId, Timestamp};
use serde::Serialize;
use store::{
    Scope,
    db::{DeviceState, FeedDevice, device_key, paired},
};

use crate::{App, ask::Ask, feeds, page, problem::Problem};

/// How many devices stand how to the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Inventory {
    /// Named by the inventory.
    declared: usize,
    /// Of these, those that no event named.
    missing: usize,
    /// Named by events, and not by the inventory.
    unknown: usize,
}

impl Inventory {
    /// `None` where none is declared.
    pub(crate) fn of(devices: &[FeedDevice]) -> Option<Self> {
        let mut counts = Self::default();
        for device in devices {
            counts.declared += usize::from(device.declared.is_some());
            counts.missing += usize::from(device.state == DeviceState::Missing);
            counts.unknown += usize::from(device.state == DeviceState::Unknown);
        }
        (counts.declared > 0).then_some(counts)
    }
}

/// What is known of a feed's devices, to the second.
pub(crate) async fn of(
    app: &App,
    scope: &Scope,
    feed: &FeedId,
) -> Result<Vec<FeedDevice>, Problem> {
    let known = app.db.feed_devices(scope, feed).await.map_err(Problem::of_db)?;
    let mut devices: BTreeMap<String, FeedDevice> =
        known.into_iter().map(|device| (device_key(&device.name), device)).collect();
    for seen in app.feed_watch.new_devices(feed) {
        let device = devices.entry(device_key(&seen.name)).or_insert_with(|| FeedDevice {
            name: seen.name.clone(),
            state: DeviceState::Unknown,
            first_seen: None,
            last_seen: None,
            declared: None,
        });
        device.first_seen = Some(device.first_seen.map_or(seen.first, |at| at.min(seen.first)));
        device.last_seen = device.last_seen.max(Some(seen.last));
        if device.declared.is_some() {
            device.state = DeviceState::Seen;
        }
    }
    Ok(paired(devices.into_values().collect()))
}

/// The devices of a feed, in one `state` where that is given.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let feed = feeds::find(&app, &ask).await?;
    let state = match ask.params.text("state") {
        None => None,
        Some("missing") => Some(DeviceState::Missing),
        Some("unknown") => Some(DeviceState::Unknown),
        Some("seen") => Some(DeviceState::Seen),
        Some(_) => {
            return Err(Problem::parameter("state", "it is missing, unknown or seen"));
        }
    };
    let mut devices = of(&app, ask.scope(), &feed.id).await?;
    devices.retain(|device| state.is_none_or(|state| device.state == state));
    Ok(page::whole(devices))
}

/// Replaces a feed's inventory.
pub(crate) async fn declare(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let feed = feeds::find(&app, &ask).await?;
    let names: Vec<String> = ask.fields.required("devices")?;
    let declared = app.db.declare_feed_devices(ask.scope(), &feed.id, names, Timestamp::now());
    declared.await.map_err(|error| match error {
        store::db::DbError::Refused(reason) => Problem::content("#/devices", reason),
        error => Problem::of_db(error),
    })?;
    let devices = of(&app, ask.scope(), &feed.id).await?;
    Ok(Json(Inventory::of(&devices).unwrap_or_default()).into_response())
}
