//! openraft's suite for log stores and state machines.

use openraft::testing::log::{StoreBuilder, Suite};
use roomraft::{
    adapter::EventHub,
    raft::{LogStore, StateMachine, Storage, TypeConfig},
};

/// The folder of all the stores that the suite asks for: it outlives each of them.
struct Builder(std::path::PathBuf);

impl StoreBuilder<TypeConfig, LogStore, StateMachine, Storage> for Builder {
    async fn build(&self) -> Result<(Storage, LogStore, StateMachine), openraft::StorageError<TypeConfig>> {
        let folder = tempfile::tempdir_in(&self.0).expect("a folder").keep();
        let storage = Storage::open(&folder, EventHub::default()).await.expect("opened");
        let (log, state_machine) = (storage.log(), storage.state_machine());
        Ok((storage, log, state_machine))
    }
}

#[test]
fn the_stores_pass_the_suite_of_openraft() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    runtime.block_on(Suite::test_all(Builder(folder.path().to_owned()))).expect("every case passes");
}
