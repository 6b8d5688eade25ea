//! The bus contract, on the embedded journal.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;

use std::sync::Arc;

use async_trait::async_trait;
use contract::Backend;
use ingest::bus::{
    Bus,
    journal::{Journal, JournalConfig},
};
use tempfile::TempDir;

struct Journals {
    dir: TempDir,
    tail_cache_bytes_max: usize,
}

impl Journals {
    fn new(tail_cache_bytes_max: usize) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), tail_cache_bytes_max }
    }

    fn open(&self) -> Arc<dyn Bus> {
        let mut config = JournalConfig::new(self.dir.path());
        config.journal_bytes_max = 4 << 20;
        config.segment_bytes = 256 << 10;
        config.tail_cache_bytes_max = self.tail_cache_bytes_max;
        Journal::open(config).unwrap()
    }
}

#[async_trait]
impl Backend for Journals {
    async fn fresh(&mut self) -> Arc<dyn Bus> {
        self.dir = tempfile::tempdir().unwrap();
        self.open()
    }

    async fn reopen(&mut self) -> Arc<dyn Bus> {
        self.open()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_the_contract() {
    contract::run(&mut Journals::new(1 << 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_the_contract_without_a_tail_cache() {
    contract::run(&mut Journals::new(0)).await;
}

#[tokio::test]
async fn the_journal_keeps_the_contract_on_one_thread() {
    contract::run(&mut Journals::new(64 << 10)).await;
}
