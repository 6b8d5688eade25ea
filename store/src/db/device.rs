//! The hosts and phones of a feed: those that it was seen to watch, and those that it should.

use std::collections::{BTreeMap, HashMap};

use event::Timestamp;
use serde::{Deserialize, Serialize};

use super::DbError;

/// The most devices that an inventory names.
pub const INVENTORY_MAX: usize = 20_000;

/// Characters of a device's name; one that is longer is not told apart.
pub const DEVICE_CHARS_MAX: usize = 255;

/// A device that a feed's events name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenDevice {
    /// As the events write it.
    pub name: String,
    /// When an event of it came first.
    pub first: Timestamp,
    /// When one came last.
    pub last: Timestamp,
}

/// How a device stands to the inventory of its feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// It is declared, and no event of it ever came.
    Missing,
    /// Events of it came, and it is not declared.
    Unknown,
    /// It is declared, and events of it came.
    Seen,
}

/// A device of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedDevice {
    /// As events write it; where none came, as the inventory does.
    pub name: String,
    /// How it stands to the inventory.
    pub state: DeviceState,
    /// When an event of it came first.
    pub first_seen: Option<Timestamp>,
    /// When one came last.
    pub last_seen: Option<Timestamp>,
    /// Since when it is declared.
    pub declared: Option<Timestamp>,
}

/// What devices are told apart by.
pub fn device_key(name: &str) -> String {
    name.to_lowercase()
}

/// The names of an inventory by their keys, each once. Refused: too many, and names that are
/// empty, too long or have control characters.
pub(super) fn inventory(names: Vec<String>) -> Result<BTreeMap<String, String>, DbError> {
    let mut inventory = BTreeMap::new();
    for (index, name) in names.into_iter().enumerate() {
        let name = name.trim();
        let wrong = if name.is_empty() {
            Some("is empty".to_owned())
        } else if name.chars().count() > DEVICE_CHARS_MAX {
            Some(format!("has more than {DEVICE_CHARS_MAX} characters"))
        } else if name.contains(char::is_control) {
            Some("has control characters".to_owned())
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(DbError::Refused(format!("device {} of the inventory {wrong}", index + 1)));
        }
        inventory.entry(device_key(name)).or_insert_with(|| name.to_owned());
    }
    if inventory.len() > INVENTORY_MAX {
        return Err(DbError::Refused(format!(
            "the inventory names {} devices; a feed's may name {INVENTORY_MAX}",
            inventory.len()
        )));
    }
    Ok(inventory)
}

/// Finds declared names among seen ones that write them with their domain, or the other way
/// round: `pc-12` and `pc-12.mairie.example` are one device, while there is one of each. Sorted by
/// state, then name.
pub fn paired(mut devices: Vec<FeedDevice>) -> Vec<FeedDevice> {
    // By first label: the declared ones that were not seen, and the seen ones that are not
    // declared, with their places.
    let mut labels: HashMap<String, [Vec<usize>; 2]> = HashMap::new();
    for (place, device) in devices.iter().enumerate() {
        let side = match device.state {
            DeviceState::Missing => 0,
            DeviceState::Unknown => 1,
            DeviceState::Seen => continue,
        };
        let key = device_key(&device.name);
        let label = key.split('.').next().unwrap_or_default();
        labels.entry(label.to_owned()).or_default()[side].push(place);
    }
    let mut gone = Vec::new();
    for [missing, unknown] in labels.into_values() {
        let ([declared], [seen]) = (&*missing, &*unknown) else { continue };
        // Two domains are two devices.
        if devices[*declared].name.contains('.') && devices[*seen].name.contains('.') {
            continue;
        }
        devices[*seen].declared = devices[*declared].declared;
        devices[*seen].state = DeviceState::Seen;
        gone.push(*declared);
    }
    gone.sort_unstable_by(|a, b| b.cmp(a));
    for place in gone {
        devices.swap_remove(place);
    }
    devices.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, state: DeviceState) -> FeedDevice {
        let time = |known| if known { Some(Timestamp::from_secs(1)) } else { None };
        FeedDevice {
            name: name.to_owned(),
            state,
            first_seen: time(state != DeviceState::Missing),
            last_seen: time(state != DeviceState::Missing),
            declared: time(state != DeviceState::Unknown),
        }
    }

    #[test]
    fn a_name_with_its_domain_is_the_name_without() {
        use DeviceState::{Missing, Seen, Unknown};
        let devices = vec![
            device("pc-12", Missing),
            device("PC-12.mairie.example", Unknown),
            device("srv.mairie.example", Missing),
            device("SRV", Unknown),
            // Two of one name: nobody knows which is meant.
            device("nas", Missing),
            device("nas.a.example", Unknown),
            device("nas.b.example", Unknown),
            // Two domains.
            device("dc.a.example", Missing),
            device("dc.b.example", Unknown),
            device("same", Seen),
        ];
        let told: Vec<_> =
            paired(devices).into_iter().map(|device| (device.name, device.state)).collect();
        let expected = [
            ("dc.a.example", Missing),
            ("nas", Missing),
            ("dc.b.example", Unknown),
            ("nas.a.example", Unknown),
            ("nas.b.example", Unknown),
            ("PC-12.mairie.example", Seen),
            ("SRV", Seen),
            ("same", Seen),
        ];
        assert_eq!(told, expected.map(|(name, state)| (name.to_owned(), state)));
    }

    #[test]
    fn an_inventory_names_each_device_once() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let two = inventory(names(&["PC-1 ", "pc-1", "pc-2"])).unwrap();
        assert_eq!(two.into_values().collect::<Vec<_>>(), ["PC-1", "pc-2"]);
        for wrong in [" ", "a\tb", &"x".repeat(256)] {
            let refused = inventory(names(&["pc", wrong])).unwrap_err().to_string();
            assert!(refused.contains("device 2 of the inventory"), "{refused}");
        }
        let many = (0..=INVENTORY_MAX).map(|n| format!("pc-{n}")).collect();
        assert!(inventory(many).unwrap_err().to_string().contains("20001 devices"));
    }
}
