//! What the shapes of a Windows event have in common, before it is written down.

use std::borrow::Cow;

use event::{FieldId, Namespace, fields as f};

use crate::formats::json::Json;

/// One Windows event, taken apart; everything borrows from the record.
#[derive(Default)]
pub(super) struct Parts<'j> {
    /// The system part with the fields that it goes to. The first value of a field is the
    /// one that decides.
    pub(super) system: Vec<(FieldId, &'j Json<'j>)>,
    /// EventData and UserData: name and value, in the record's order.
    pub(super) data: Vec<(Cow<'j, str>, &'j Json<'j>)>,
    /// What the shipper adds, with where it is kept.
    pub(super) extra: Vec<(Extra, Cow<'j, str>, &'j Json<'j>)>,
    /// ECS fields that the shipper has filled.
    pub(super) ecs: Vec<(Cow<'j, str>, &'j Json<'j>)>,
    /// Times of the event that are UTC or say their zone, best first.
    pub(super) times: Vec<&'j str>,
    /// A flat object's Sysmon and relay times, until they are among the others.
    pub(super) utc: Option<&'j str>,
    pub(super) relayed: Option<&'j str>,
    /// The text that Windows made of the event.
    pub(super) message: Option<&'j str>,
    /// What NXLog calls the outcome of an audited attempt, and its name of the level.
    pub(super) audit: Option<&'j str>,
    pub(super) severity: Option<&'j str>,
    /// It comes from Winlogbeat.
    pub(super) beat: bool,
    /// NXLog writes its own fields over event data of the same name, whatever the case.
    pub(super) overwritten: bool,
}

/// Where values that are neither the system's nor the event's are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// `winlog.*`: the rest of the system part.
    System,
    /// `winlog.nxlog.*`: NXLog's own fields.
    Nxlog,
    /// `winlog.relay.*`: what a relay such as Logstash adds.
    Relay,
    /// `winlog.beat.*`: what Winlogbeat adds beside ECS.
    Beat,
}

/// The namespaces of [`Extra`] and of event data.
pub(super) struct Spaces {
    pub(super) data: Namespace,
    system: Namespace,
    nxlog: Namespace,
    relay: Namespace,
    beat: Namespace,
}

impl Spaces {
    pub(super) fn new() -> Self {
        Self {
            data: Namespace::new("winlog.event_data"),
            system: Namespace::new("winlog"),
            nxlog: Namespace::new("winlog.nxlog"),
            relay: Namespace::new("winlog.relay"),
            beat: Namespace::new("winlog.beat"),
        }
    }

    pub(super) fn of(&self, extra: Extra) -> &Namespace {
        match extra {
            Extra::System => &self.system,
            Extra::Nxlog => &self.nxlog,
            Extra::Relay => &self.relay,
            Extra::Beat => &self.beat,
        }
    }
}

impl<'j> Parts<'j> {
    /// The deciding value of a system field.
    pub(super) fn get(&self, field: FieldId) -> Option<&'j Json<'j>> {
        self.system.iter().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    /// Its text.
    pub(super) fn text(&self, field: FieldId) -> Option<&'j str> {
        self.get(field)?.present()
    }

    /// Takes a system value, unless there is one that is not null.
    pub(super) fn system(&mut self, field: FieldId, name: &'j str, value: &'j Json<'j>) {
        match self.get(field) {
            None => self.system.push((field, value)),
            Some(_) => self.extra.push((Extra::System, name.into(), value)),
        }
    }

    /// Takes a time, and keeps it.
    pub(super) fn time(&mut self, field: FieldId, name: &'j str, value: &'j Json<'j>) {
        if let Some(text) = value.present() {
            self.times.push(text);
        }
        self.system(field, name, value);
    }

    /// The number of the event.
    pub(super) fn code(&self) -> Option<u32> {
        self.text(f::WINLOG_EVENT_ID)?.trim().parse().ok()
    }
}
