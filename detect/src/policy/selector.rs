//! Which rules a choice names.

use std::{fmt, path::Component, str::FromStr};

use event::Level;

use crate::Entry;

/// Names rules: `id:UUID`, `tag:attack.t1059`, `folder:windows/process_creation`,
/// `product:windows`, `level:low` or `any`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The rule of this id.
    Rule(String),
    /// Rules with this tag, or with one of its sub-techniques (`attack.t1059` has
    /// `attack.t1059.001`).
    Tag(String),
    /// Rules whose file lies below such a folder, wherever that lies itself.
    Folder(String),
    /// Rules whose log source names this product.
    Product(String),
    /// Rules of this level, by their own account.
    Level(Level),
    /// Every rule.
    Any,
}

/// Why a text names no rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} selects no rules; write id:<uuid>, tag:<tag>, folder:<path>, product:<name>, level:<level> or any"
)]
pub struct SelectorError(String);

impl Selector {
    /// How narrow it is: a narrower choice goes before a wider one.
    pub(super) fn precision(&self) -> u8 {
        match self {
            Self::Rule(_) => 6,
            Self::Tag(_) => 5,
            Self::Folder(_) => 4,
            Self::Product(_) => 3,
            Self::Level(_) => 2,
            Self::Any => 1,
        }
    }

    /// Whether it names `entry`. A correlation is of no product.
    pub fn names(&self, entry: Entry<'_>) -> bool {
        match self {
            Self::Rule(id) => entry.id() == id,
            Self::Tag(tag) => entry.tags().iter().any(|own| is_within(own, tag)),
            Self::Folder(folder) => lies_below(entry, folder),
            Self::Product(product) => entry
                .logsource()
                .is_some_and(|logsource| logsource.product.as_deref() == Some(product)),
            Self::Level(level) => entry.level() == *level,
            Self::Any => true,
        }
    }
}

/// Whether the tag `own` is `tag` or one of its parts, in any case.
fn is_within(own: &str, tag: &str) -> bool {
    own.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag))
        && matches!(own.as_bytes().get(tag.len()), None | Some(b'.'))
}

fn lies_below(entry: Entry<'_>, folder: &str) -> bool {
    let wanted: Vec<&str> = folder.split('/').collect();
    let Some(parent) = entry.source().path.parent() else { return false };
    let folders: Vec<_> = parent
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    folders.windows(wanted.len()).any(|run| run == wanted)
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError(text.chars().take(80).collect());
        if text == "any" {
            return Ok(Self::Any);
        }
        let (kind, value) = text.split_once(':').ok_or_else(wrong)?;
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(wrong());
        }
        Ok(match kind {
            "id" => Self::Rule(value.to_ascii_lowercase()),
            "tag" => Self::Tag(value.to_ascii_lowercase()),
            "folder" => {
                let folder = value.trim_matches('/');
                if folder.is_empty()
                    || folder.split('/').any(|part| matches!(part, "" | "." | ".."))
                {
                    return Err(wrong());
                }
                Self::Folder(folder.to_owned())
            }
            "product" => Self::Product(value.to_ascii_lowercase()),
            "level" => Self::Level(value.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(id) => write!(f, "id:{id}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Folder(folder) => write!(f, "folder:{folder}"),
            Self::Product(product) => write!(f, "product:{product}"),
            Self::Level(level) => write!(f, "level:{level}"),
            Self::Any => f.write_str("any"),
        }
    }
}
