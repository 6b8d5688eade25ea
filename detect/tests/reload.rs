//! Rule files read again: what is good is new, what became bad stays as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use detect::{Loaded, Placeholders, RuleFiles};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const C: &str = "33333333-3333-4333-8333-333333333333";

fn rule(id: &str, word: &str) -> String {
    format!(
        "title: Rule {id}\nid: {id}\nlogsource:\n  product: windows\n  category: process_creation\ndetection:\n  sel:\n    CommandLine|contains: {word}\n  condition: sel\n"
    )
}

/// A rule whose condition names what is not there.
fn broken(id: &str) -> String {
    rule(id, "x").replace("condition: sel", "condition: other")
}

struct Folder {
    dir: tempfile::TempDir,
    files: RuleFiles,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), files: RuleFiles::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("rules").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn reread(&mut self) -> Loaded {
        let (loaded, files) =
            self.files.reread(&[self.dir.path().join("rules")], &[], &Placeholders::new());
        self.files = files;
        loaded
    }
}

/// Which word each rule in force looks for.
fn words(loaded: &Loaded) -> Vec<(String, String)> {
    let word = |text: String| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix("CommandLine|contains: "));
        line.unwrap_or_default().to_owned()
    };
    loaded.rules.iter().map(|rule| (rule.id().to_owned(), word(rule.text()))).collect()
}

fn expected(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, word)| ((*id).to_owned(), (*word).to_owned())).collect()
}

#[test]
fn a_bad_file_keeps_its_rules_until_it_is_good_or_gone() {
    let mut folder = Folder::new();
    folder.write("a.yml", &rule(A, "one"));
    folder.write("sub/b.yml", &rule(B, "one"));
    assert_eq!(words(&folder.reread()), expected(&[(A, "one"), (B, "one")]));

    for bad in [broken(A), "title: [\n".to_owned(), "- a\n- b\n".to_owned(), "\u{0}".to_owned()] {
        folder.write("a.yml", &bad);
        folder.write("sub/b.yml", &rule(B, "two"));
        for _ in 0..2 {
            let loaded = folder.reread();
            assert_eq!(words(&loaded), expected(&[(A, "one"), (B, "two")]), "{bad:?}");
            assert_eq!(loaded.refused.len(), 1, "{bad:?}");
            let [kept] = loaded.kept.as_slice() else { panic!("{bad:?}: {:?}", loaded.kept) };
            assert_eq!((kept.id.as_deref(), &kept.path), (Some(A), &folder.path("a.yml")));
            assert_eq!(kept.because, loaded.refused[0]);
        }
    }
    folder.write("a.yml", &rule(A, "three"));
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "three"), (B, "two")]));
    assert!(loaded.kept.is_empty() && loaded.refused.is_empty());

    folder.write("a.yml", &broken(A));
    assert_eq!(folder.reread().kept.len(), 1);
    fs::remove_file(folder.path("a.yml")).unwrap();
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(B, "two")]));
    assert!(loaded.kept.is_empty() && loaded.refused.is_empty());
}

#[test]
fn of_many_documents_only_the_bad_one_stays_as_it_was() {
    let mut folder = Folder::new();
    let three = |a: &str, b: &str, c: &str| format!("{a}---\n{b}---\n{c}");
    folder.write("all.yml", &three(&rule(A, "one"), &rule(B, "one"), &rule(C, "one")));
    folder.reread();
    // A changes, B breaks, C is taken out.
    folder.write("all.yml", &format!("{}---\n{}", rule(A, "two"), broken(B)));
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "two"), (B, "one")]));
    assert_eq!(loaded.kept.len(), 1);
    // A fault that hides the id keeps all that is not there.
    folder.write("all.yml", &format!("{}---\n\tx: [\n", rule(A, "three")));
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "three"), (B, "one")]));
    // B is taken over by another file; what was kept of it goes.
    folder.write("b.yml", &rule(B, "elsewhere"));
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "three"), (B, "elsewhere")]));
    assert!(loaded.kept.is_empty(), "{:?}", loaded.kept);
}

#[test]
fn filters_are_kept_too() {
    let mut folder = Folder::new();
    let filter = format!(
        "title: Not the tool\nlogsource:\n  product: windows\nfilter:\n  rules:\n    - {A}\n  sel:\n    Image: tool.exe\n  condition: not sel\n"
    );
    folder.write("a.yml", &rule(A, "one"));
    let bare = folder.reread().rules[0].version().to_owned();
    folder.write("f.yml", &filter);
    let first = folder.reread();
    assert_ne!(first.rules[0].version(), bare);
    assert!(first.rules[0].text().contains("Not the tool"), "{}", first.rules[0].text());
    folder.write("f.yml", &filter.replace("not sel", "not other"));
    let loaded = folder.reread();
    assert_eq!(loaded.rules[0].version(), first.rules[0].version());
    assert_eq!(loaded.kept[0].title, "Not the tool");
    // The text of a version loads as that version.
    let again = detect::parse(&first.rules[0].text(), Path::new("again.yml"));
    assert_eq!(again.rules[0].version(), first.rules[0].version());
    assert!(again.refused.is_empty());
}

#[test]
fn a_folder_that_is_gone_keeps_all_and_an_emptied_one_nothing() {
    let mut folder = Folder::new();
    folder.write("a.yml", &rule(A, "one"));
    folder.write("sub/b.yml", &rule(B, "one"));
    folder.reread();
    fs::rename(folder.dir.path().join("rules"), folder.dir.path().join("away")).unwrap();
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "one"), (B, "one")]));
    assert_eq!((loaded.kept.len(), loaded.refused.len()), (2, 1));
    fs::create_dir(folder.dir.path().join("rules")).unwrap();
    let loaded = folder.reread();
    assert_eq!((loaded.rules.len(), loaded.kept.len(), loaded.refused.len()), (0, 0, 0));
}

#[test]
fn what_an_earlier_process_had_is_gone_on_with() {
    let mut folder = Folder::new();
    folder.write("a.yml", &rule(A, "one"));
    let first = folder.reread();
    let texts: Vec<_> =
        first.rules.iter().map(|rule| (rule.source().path.clone(), rule.text())).collect();
    folder.write("a.yml", &broken(A));
    folder.files = RuleFiles::remembered(&texts, &Placeholders::new());
    let loaded = folder.reread();
    assert_eq!(words(&loaded), expected(&[(A, "one")]));
    assert_eq!(loaded.rules[0].version(), first.rules[0].version());
    assert_eq!(loaded.kept.len(), 1);
    folder.write("a.yml", &rule(A, "two"));
    assert_eq!(words(&folder.reread()), expected(&[(A, "two")]));
}

#[test]
fn builtin_rules_give_way() {
    let mut folder = Folder::new();
    folder.write("a.yml", &rule(A, "ours"));
    let paths = [folder.dir.path().join("rules")];
    let builtin = [("builtin/a.yml", &*rule(A, "theirs")), ("builtin/b.yml", &*rule(B, "theirs"))];
    let (loaded, files) = folder.files.reread(&paths, &builtin, &Placeholders::new());
    assert_eq!(words(&loaded), expected(&[(A, "ours"), (B, "theirs")]));
    assert!(loaded.refused.is_empty());
    fs::remove_file(folder.path("a.yml")).unwrap();
    folder.files = files;
    let (loaded, _) = folder.files.reread(&paths, &builtin, &Placeholders::new());
    assert_eq!(words(&loaded), expected(&[(A, "theirs"), (B, "theirs")]));
}
