//! openraft's suite for log stores and state machines.

use openraft::testing::log::{StoreBuilder, Suite};
use roomraft::{
    adapter::EventHub,
    raft::{LogStore, StateMachine, Storage, TypeConfig},
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, (tempfile::TempDir, Storage)> for Builder {
    async fn build(
        &self,
    ) -> Result<((tempfile::TempDir, Storage), LogStore, StateMachine), openraft::StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(folder.path(), EventHub::default()).await.expect("opened");
        let (log, state_machine) = (storage.log(), storage.state_machine());
        Ok(((folder, storage), log, state_machine))
    }
}

#[test]
fn the_stores_pass_the_suite_of_openraft() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(Suite::test_all(Builder)).expect("every case passes");
}
