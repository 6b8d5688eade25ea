//! Rule files over time: read again, what is good is new, what became bad stays as it was.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use crate::{
    error::Refusal,
    filter::Filter,
    load::{self, File, Loaded},
    placeholder::Placeholders,
    rule::Parsed,
};

/// What files of rules held when they were last read and good. [`reread`](Self::reread) is all
/// there is to do with it.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    /// By path: the documents that are in force, whether the file still has them or they are
    /// kept because it became bad.
    good: BTreeMap<PathBuf, File>,
}

/// A rule or filter that stands as it was last read, because its file became bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// The file that it was read from.
    pub path: PathBuf,
    /// What became of that file.
    pub because: Refusal,
}

impl RuleFiles {
    /// As if each file had held, when it was last read, the rule that `texts` has for it; of a
    /// text of several documents, as [`Rule::text`](crate::Rule::text) gives, the first. So a
    /// process goes on with what one before it had in force.
    pub fn remembered(texts: &[(PathBuf, String)], placeholders: &Placeholders) -> Self {
        let mut good: BTreeMap<PathBuf, File> = BTreeMap::new();
        for (path, text) in texts {
            // Its filters come from their own files, or not at all.
            let first = load::first_document(text, path, placeholders);
            let known = good
                .entry(path.clone())
                .or_insert_with(|| File { path: path.clone(), ..File::default() });
            known.rules.extend(first.rules);
            known.correlations.extend(first.correlations);
        }
        Self { good }
    }

    /// Reads `paths` as [`load`](crate::load) does, and the texts `builtin` after them, whose
    /// rules give way to those of the same id in `paths`. The second value is what to remember
    /// for the next time, once what was loaded is in force.
    ///
    /// A document that is refused now and was not the last time stands as it was: by its id,
    /// or, where the fault hides the id, every document of that file that is not there any
    /// more. So it is with a file that cannot be read and a folder that cannot be listed. A file
    /// that is gone takes its rules with it; a folder among `paths` that is gone does not, for
    /// it is likelier to be a disk that is not there yet.
    pub fn reread(
        &self,
        paths: &[PathBuf],
        builtin: &[(&str, &str)],
        placeholders: &Placeholders,
    ) -> (Loaded, Self) {
        let mut read = load::read_all(paths, placeholders);
        let mut kept = Vec::new();
        let mut good = BTreeMap::new();
        let mut stand = Vec::new();
        let now: HashMap<&Path, &File> = read.iter().map(|file| (&*file.path, file)).collect();
        let folders: Vec<&File> = read.iter().filter(|file| !file.refused.is_empty()).collect();
        for (path, old) in &self.good {
            let (docs, because) = match fate(path, &now, &folders) {
                Fate::Good => continue,
                Fate::Refused(refused) => (still_good(old, &read, refused), refused),
                Fate::Unreachable(refused) => (old.clone(), refused),
            };
            let Some(because) = because.first() else { continue };
            kept.extend(docs.names().map(|(id, title)| Kept {
                id: id.map(str::to_owned),
                title: title.to_owned(),
                path: path.clone(),
                because: because.clone(),
            }));
            good.insert(path.clone(), docs.clone());
            stand.push(File { yields: true, ..docs });
        }
        for file in &read {
            let known = good.entry(file.path.clone()).or_default();
            known.rules.extend(file.rules.iter().cloned());
            known.filters.extend(file.filters.iter().cloned());
            known.correlations.extend(file.correlations.iter().cloned());
        }
        read.extend(stand);
        read.extend(builtin.iter().map(|(path, text)| {
            let file = load::documents(text, Path::new(path), placeholders);
            File { yields: true, ..file }
        }));
        let mut loaded = load::assemble(read);
        // One that another file has by now stands there, not here.
        kept.retain(|kept| match &kept.id {
            None => true,
            Some(id) => match loaded.rules.binary_search_by(|rule| rule.id().cmp(id)) {
                Ok(place) => loaded.rules[place].source().path == kept.path,
                Err(_) => true,
            },
        });
        loaded.kept = kept;
        (loaded, Self { good })
    }
}

/// What became of a file that was good.
enum Fate<'r> {
    /// It is good still, or gone for good.
    Good,
    /// Something in it is refused.
    Refused(&'r [Refusal]),
    /// The folder it is in cannot be reached.
    Unreachable(&'r [Refusal]),
}

/// `now` is what was read, by path, and `failed` what of it could not be read whole.
fn fate<'r>(path: &Path, now: &HashMap<&Path, &'r File>, failed: &[&'r File]) -> Fate<'r> {
    match now.get(path) {
        Some(file) if file.refused.is_empty() || file.is_gone => Fate::Good,
        Some(file) => Fate::Refused(&file.refused),
        // No file has another one below it, so this is a folder that could not be listed.
        None => failed
            .iter()
            .find(|folder| path.starts_with(&folder.path))
            .map_or(Fate::Good, |folder| Fate::Unreachable(&folder.refused)),
    }
}

/// The documents of `old` that `refused` speaks of, and that are good nowhere in `read`.
fn still_good(old: &File, read: &[File], refused: &[Refusal]) -> File {
    let hidden = refused.iter().any(|refusal| refusal.rule_id.is_none());
    let meant = |id: Option<&str>, title: &str| {
        hidden
            || refused.iter().any(|refusal| {
                let same_id =
                    |id| refusal.rule_id.as_ref().is_some_and(|r| r.eq_ignore_ascii_case(id));
                id.is_some_and(same_id) || refusal.title.as_deref() == Some(title)
            })
    };
    let has_rule =
        |old: &Parsed| read.iter().flat_map(|f| &f.rules).any(|new| new.rule.id() == old.rule.id());
    let has_filter =
        |old: &Filter| read.iter().flat_map(|file| &file.filters).any(|new| new.is_same(old));
    let rules = old
        .rules
        .iter()
        .filter(|old| meant(Some(old.rule.id()), old.rule.title()) && !has_rule(old));
    let filters = old.filters.iter().filter(|old| meant(old.id(), old.title()) && !has_filter(old));
    let has_correlation =
        |id: &str| read.iter().flat_map(|file| &file.correlations).any(|(new, _)| new.id() == id);
    let correlations = old
        .correlations
        .iter()
        .filter(|(old, _)| meant(Some(old.id()), old.title()) && !has_correlation(old.id()));
    File {
        path: old.path.clone(),
        rules: rules.cloned().collect(),
        filters: filters.cloned().collect(),
        correlations: correlations.cloned().collect(),
        ..File::default()
    }
}

impl File {
    /// Id and title of each document.
    fn names(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let rules = self.rules.iter().map(|old| (Some(old.rule.id()), old.rule.title()));
        let correlations = self.correlations.iter().map(|(old, _)| (Some(old.id()), old.title()));
        rules
            .chain(self.filters.iter().map(|filter| (filter.id(), filter.title())))
            .chain(correlations)
    }
}
