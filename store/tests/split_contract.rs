//! What every split storage must do, on local files and on an object store in memory.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

use std::{path::Path, sync::Arc};

use event::{CommuneId, SplitId, Timestamp};
use object_store::memory::InMemory;
use store::{
    Scope,
    auth::{Caller, DataDir},
    db::SplitMeta,
    split::{BundleInfo, SplitError, SplitStorage, write_bundle},
};
use tantivy::directory::OwnedBytes;

fn bundle(path: &Path, commune: &CommuneId, id: u8, content: &[u8]) -> SplitMeta {
    let time = Timestamp::from_millis(5);
    let info = BundleInfo {
        commune: commune.clone(),
        min_time: time,
        max_time: time,
        min_received: time,
        max_received: time,
        events: 1,
        raw_bytes: 2,
        format_version: 1,
    };
    let sum = write_bundle(path, &info, [("a".to_owned(), OwnedBytes::new(content.to_vec()))]);
    let sum = sum.unwrap();
    SplitMeta {
        id: SplitId::from_bytes([id; 16]),
        commune: commune.clone(),
        min_time: time,
        max_time: time,
        min_received: time,
        max_received: time,
        events: 1,
        raw_bytes: 2,
        bytes: sum.bytes,
        crc32c: sum.crc32c,
        format_version: 1,
        sealed: time,
    }
}

async fn keeps_lists_opens_and_removes(storage: &SplitStorage, all: &Scope, dir: &Path) {
    let [dijon, talant] = ["dijon", "talant"].map(|name| CommuneId::new(name).unwrap());
    let file = dir.join("file");
    let large = vec![7; 20 << 20];
    let meta = bundle(&file, &dijon, 1, &large);
    assert!(matches!(storage.open(all, &meta).await, Err(SplitError::Missing(_))));
    assert!(matches!(storage.check(&meta).await, Err(SplitError::Missing(_))));
    storage.put(&meta, &file).await.unwrap();
    let opened = storage.open(all, &meta).await.unwrap();
    opened.verify().unwrap();
    storage.check(&meta).await.unwrap();
    assert_eq!(opened.bundle().file("a").unwrap().as_slice(), large);

    // Foreign and absent are the same.
    let foreign = storage.open(&all.narrowed(&talant), &meta).await;
    assert!(matches!(foreign, Err(SplitError::Missing(id)) if id == meta.id));

    // Putting again replaces; what is open stays as it was.
    let other = bundle(&file, &dijon, 1, b"other");
    storage.put(&other, &file).await.unwrap();
    assert!(matches!(storage.check(&meta).await, Err(SplitError::Damaged { .. })));
    storage.check(&other).await.unwrap();
    let reopened = storage.open(all, &other).await.unwrap();
    reopened.verify().unwrap();
    assert_eq!(reopened.bundle().file("a").unwrap().as_slice(), b"other");
    assert_eq!(opened.bundle().file("a").unwrap().as_slice(), large);

    let third = bundle(&file, &talant, 3, b"third");
    storage.put(&third, &file).await.unwrap();
    let ids = |objects: Vec<store::split::SplitObject>| -> Vec<SplitId> {
        objects.into_iter().map(|object| object.id).collect()
    };
    assert_eq!(ids(storage.list(None).await.unwrap()), [meta.id, third.id]);
    assert_eq!(ids(storage.list(Some(&talant)).await.unwrap()), [third.id]);

    storage.delete(&dijon, meta.id).await.unwrap();
    storage.delete(&dijon, meta.id).await.unwrap();
    assert_eq!(ids(storage.list(None).await.unwrap()), [third.id]);
}

fn everything(dir: &Path) -> Scope {
    Caller::operator(&DataDir::hold(&dir.join("data")).unwrap()).scope().clone()
}

#[tokio::test]
async fn local_files() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/splits", dir.path().display());
    let storage = SplitStorage::connect(&url, &dir.path().join("cache")).unwrap();
    keeps_lists_opens_and_removes(&storage, &everything(dir.path()), dir.path()).await;
}

#[tokio::test]
async fn an_object_store() {
    let dir = tempfile::tempdir().unwrap();
    let storage = SplitStorage::over(Arc::new(InMemory::new()), &dir.path().join("cache"), 1 << 30);
    keeps_lists_opens_and_removes(&storage, &everything(dir.path()), dir.path()).await;
}

#[tokio::test]
async fn damage_is_named_and_leftovers_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}/splits", dir.path().display());
    let cache = dir.path().join("cache");
    let storage = SplitStorage::connect(&url, &cache).unwrap();
    let all = everything(dir.path());
    let file = dir.path().join("file");
    let meta = bundle(&file, &CommuneId::new("dijon").unwrap(), 1, &[1; 5000]);
    storage.put(&meta, &file).await.unwrap();
    let object = dir.path().join("splits").join(meta.object_path());
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&object, &bytes).unwrap();
    let error = storage.open(&all, &meta).await.unwrap().verify().unwrap_err().to_string();
    assert!(error.contains(&meta.object_path().display().to_string()), "{error}");
    std::fs::write(&object, &bytes[..900]).unwrap();
    assert!(matches!(storage.open(&all, &meta).await, Err(SplitError::Damaged { .. })));

    let staged = object.with_extension("split#1");
    std::fs::write(&staged, b"half").unwrap();
    // A command beside a centre leaves alone what that is uploading; the centre, at its start, does not.
    let again = SplitStorage::connect(&url, &cache).unwrap();
    assert!(staged.exists());
    again.remove_staged().unwrap();
    assert!(!staged.exists() && object.exists());

    for bad in ["s3://bucket", "file://relative", "splits", "http://x"] {
        let refused = SplitStorage::connect(bad, &cache).err();
        assert!(matches!(refused, Some(SplitError::Url { .. })), "{bad}");
    }
}

/// The files of the cache, by their communes and names' beginnings.
fn cached(cache: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(cache)
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_cache_is_bounded_and_mends_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (all, cache) = (everything(dir.path()), dir.path().join("cache"));
    let storage = SplitStorage::over(Arc::new(InMemory::new()), &cache, 2_500);
    let (dijon, file) = (CommuneId::new("dijon").unwrap(), dir.path().join("file"));
    let mut metas = Vec::new();
    for id in 1..=4 {
        // Each in a file of its own, as sealed splits are.
        let file = file.with_extension(id.to_string());
        let meta = bundle(&file, &dijon, id, &[id; 900]);
        storage.put(&meta, &file).await.unwrap();
        metas.push(meta);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(metas[0].bytes < 1_250 && cached(&cache).len() == 2, "{:?}", cached(&cache));
    // What is open stays readable when it makes room for others.
    let opened = storage.open(&all, &metas[0]).await.unwrap();
    for meta in &metas[1..] {
        storage.open(&all, meta).await.unwrap().verify().unwrap();
    }
    opened.verify().unwrap();
    assert_eq!(cached(&cache).len(), 2);

    // A file that lost its end, and one that went while nobody looked.
    let [first, second] = &cached(&cache)[..] else { panic!("two files are cached") };
    std::fs::File::options().write(true).open(first).unwrap().set_len(100).unwrap();
    std::fs::remove_file(second).unwrap();
    for meta in &metas {
        storage.open(&all, meta).await.unwrap().verify().unwrap();
    }
}
