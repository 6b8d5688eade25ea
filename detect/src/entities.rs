//! The devices and people that an event concerns.

use std::collections::BTreeSet;

use event::{Entity, EntityKind, Event, FieldId, fields};

/// Fields that name a person's account.
const USERS: &[FieldId] = &[fields::USER_NAME, fields::USER_TARGET_NAME, fields::USER_FULL];

/// The field under which correlations read whom an event is about, whatever its vendor calls them.
pub(crate) const PERSON: &str = "jacquemart.person";

/// Fields that name whom an event is about, the nearest first.
const PEOPLE: &[FieldId] = &[fields::USER_NAME, fields::USER_EMAIL, fields::EMAIL_TO_ADDRESS];

/// Accounts that Windows itself runs under, in English and in French, folded.
const SYSTEM_ACCOUNTS: &[&str] = &[
    "system",
    "système",
    "local system",
    "système local",
    "local service",
    "service local",
    "localservice",
    "network service",
    "service réseau",
    "networkservice",
    "anonymous logon",
    "ouverture de session anonyme",
    "anonymous",
    "iusr",
    "-",
    "n/a",
];

/// Bytes of an entity's name; longer ones name nothing.
const NAME_BYTES_MAX: usize = 256;

/// The entities of `event`, sorted, without duplicates: its host, its device, and the
/// accounts of people; those of machines and of the system itself concern everyone and so
/// nobody.
pub fn entities(event: &Event) -> Vec<Entity> {
    let mut found = BTreeSet::new();
    let host = event.get_str(fields::HOST_NAME).or_else(|| event.get_str(fields::HOST_HOSTNAME));
    add(&mut found, EntityKind::Host, host);
    add(&mut found, EntityKind::Device, event.get_str(fields::DEVICE_ID));
    for field in USERS {
        for value in event.get_all(*field) {
            add(&mut found, EntityKind::User, value.as_str().and_then(person));
        }
    }
    found.into_iter().collect()
}

/// The person's short name: the account without its domain, whether that stands before a `\` or
/// behind an `@`, in lower case. So the sign-in on a computer, the mail address and the account
/// in the cloud are one, as far as they are called alike.
pub(crate) fn person_of(event: &Event) -> Option<String> {
    let names = PEOPLE.iter().flat_map(|field| event.get_all(*field));
    let mut people =
        names.filter_map(|value| value.as_str().and_then(person).map(str::to_lowercase));
    let name = people.find(|name| name.len() <= NAME_BYTES_MAX)?;
    let short = name.split('@').next().unwrap_or_default();
    (!short.is_empty()).then(|| short.to_owned())
}

fn add(found: &mut BTreeSet<Entity>, kind: EntityKind, name: Option<&str>) {
    let Some(name) = name.map(str::trim) else { return };
    if !name.is_empty() && name != "-" && name.len() <= NAME_BYTES_MAX {
        found.insert(Entity { kind, name: name.to_lowercase() });
    }
}

/// The account's name without its domain, unless it is the system's or a machine's.
fn person(account: &str) -> Option<&str> {
    let name = account.rsplit('\\').next().unwrap_or(account).trim();
    let folded = name.to_lowercase();
    let system = SYSTEM_ACCOUNTS.contains(&folded.as_str())
        || folded.ends_with('$')
        || session_account(&folded, "dwm-")
        || session_account(&folded, "umfd-");
    (!system && !name.is_empty()).then_some(name)
}

/// `DWM-3`, `UMFD-0`: one per session, of the desktop.
fn session_account(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &[(FieldId, &str)]) -> Event {
        let record = event::Record {
            commune: event::CommuneId::new("talant").unwrap(),
            feed: event::FeedId::new("f").unwrap(),
            format: event::FormatName::new("windows").unwrap(),
            received: event::Timestamp::from_secs(1),
            raw: bytes::Bytes::new(),
            context: None,
        };
        let bus = event::BusId::from_bytes([1; 16]);
        let id = event::EventId::of(bus, 0, 1, event::Timestamp::from_secs(1));
        let mut builder = event::EventBuilder::new(record, id);
        for (field, value) in fields {
            builder.push(*field, event::ValueRef::Str(value));
        }
        builder.build()
    }

    #[test]
    fn a_person_is_the_same_in_every_feed() {
        for fields in [
            &[(fields::USER_NAME, "TALANT\\N.Besson")][..],
            &[(fields::USER_NAME, "n.besson@talant.example")],
            &[(fields::USER_EMAIL, "N.Besson@talant.example")],
            &[(fields::EMAIL_TO_ADDRESS, "n.besson@talant.example")],
            &[(fields::USER_NAME, "SYSTEM"), (fields::USER_EMAIL, "n.besson@talant.example")],
        ] {
            assert_eq!(person_of(&event(fields)).as_deref(), Some("n.besson"), "{fields:?}");
        }
        assert_eq!(person_of(&event(&[(fields::USER_NAME, "N/A")])), None);
        assert_eq!(person_of(&event(&[(fields::USER_NAME, "@talant.example")])), None);
    }

    #[test]
    fn people_are_kept_and_the_system_is_not() {
        for account in [
            "SYSTEM",
            "NT AUTHORITY\\SYSTEM",
            "AUTORITE NT\\Système",
            "SRV-01$",
            "DWM-3",
            "Font Driver Host\\UMFD-0",
            "NETWORK SERVICE",
            "-",
            "",
            "AUTORITE NT\\SERVICE RÉSEAU",
        ] {
            assert_eq!(person(account), None, "{account}");
        }
        assert_eq!(person("CHENOVE\\m.durand"), Some("m.durand"));
        assert_eq!(person("dwm-admin"), Some("dwm-admin"));
        assert_eq!(person("zoé@dijon.example"), Some("zoé@dijon.example"));
    }
}
