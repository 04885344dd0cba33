//! A node's storage without a network: entries are written and applied by hand.

use std::{fs, io, path::Path};

use bytes::Bytes;
use futures_util::stream;
use openraft::{
    RaftLogReader, StorageHelper,
    storage::{IOFlushed, RaftLogStorage, RaftStateMachine},
    type_config::TypeConfigExt,
    vote::leader_id_adv::LeaderId,
};
use roomraft::{
    adapter::EventHub,
    model::{
        Epoch, Metadata, NewRoom, NewServer, NodeId, RoomEpoch, RoomId, RoomState, RoomType, ServerEpoch, ServerId,
    },
    raft::{Batch, Entry, EntryPayload, LogId, Proposal, Storage, StorageError, TypeConfig, Vote},
    registry::{Command, Operation, Origin, ProposerId, Record},
};

const LEADER: LeaderId<u64, u64> = LeaderId { term: 1, node_id: 7 };

pub(crate) fn log_id(index: u64) -> LogId {
    LogId { leader_id: LEADER, index }
}

/// The command at an index: a server, its room, then snapshots of the room and locks in turn.
pub(crate) fn command(index: u64) -> Command {
    let server_id = ServerId::new("alpha").expect("an id");
    let server = ServerEpoch { server_id: server_id.clone(), epoch: Epoch(1) };
    let room_id = RoomId::new("arena-own").expect("an id");
    let room_type = RoomType::new("arena").expect("a type");
    let operation = match index {
        1 => Operation::RegisterServer(NewServer {
            server_id,
            address: "127.0.0.1".to_owned(),
            port: 4000,
            capacity: 10,
            metadata: Metadata::from_iter([("region", "eu")]),
            room_types: [].into(),
            node_id: NodeId(7),
        }),
        2 => Operation::RegisterRoom {
            server,
            room: NewRoom {
                room_id: Some(room_id),
                room_type,
                max_players: 8,
                reconnect_grace_ms: 0,
                metadata: Metadata::default(),
                state: RoomState::Live,
                options: String::new(),
            },
        },
        _ if index.is_multiple_of(3) => Operation::SaveSnapshot {
            room: RoomEpoch { room_id, epoch: Epoch(2) },
            version: index,
            bytes: room_bytes(index),
            ttl_ms: 0,
        },
        _ => Operation::AcquireLock { key: format!("lock-{}", index % 5), ttl_ms: 60_000 },
    };
    let proposer = ProposerId { node: 7, incarnation: 1 };
    let origin = Some(Origin { proposer, serial: index, settled_below: index.saturating_sub(4) });
    Command { time_ms: 1_000 + index, origin, operation }
}

fn batch(index: u64) -> Batch {
    let Command { time_ms, origin, operation } = command(index);
    let proposal = Proposal::new(&operation).expect("plain data").by(origin.expect("an author"));
    // Whose epochs are tested comes first; from then on an entry holds two commands.
    let key = format!("second-{}", index % 3);
    let second = Proposal::new(&Operation::AcquireLock { key, ttl_ms: 2 }).expect("plain data");
    let proposals = [proposal, second];
    Batch::new(&proposals[..if index < 3 { 1 } else { 2 }]).expect("plain data").at(time_ms)
}

/// What the snapshot that entry `index` saves holds; its version is the same number.
pub(crate) fn room_bytes(index: u64) -> Bytes {
    Bytes::from(format!("state-{index}-").repeat(50))
}

pub(crate) async fn open(folder: &Path) -> Result<Storage, StorageError> {
    Storage::open(folder, EventHub::default()).await
}

/// As in a cluster, the log begins at 0 with what is no command.
pub(crate) fn entry(index: u64) -> Entry {
    let payload = if index == 0 { EntryPayload::Blank } else { EntryPayload::Normal(batch(index)) };
    Entry { log_id: log_id(index), payload }
}

/// Appends the entries `from..=to`; they are durable once it returns.
pub(crate) async fn append(storage: &Storage, from: u64, to: u64) {
    let (callback, durable) = TypeConfig::oneshot();
    let mut log = storage.log();
    log.append((from..=to).map(entry).collect::<Vec<_>>(), IOFlushed::signal(callback)).await.expect("appended");
    durable.await.expect("told").expect("durable");
}

/// Votes, appends, commits and applies the entries `from..=to`.
pub(crate) async fn run(storage: &Storage, from: u64, to: u64) {
    storage.log().save_vote(&Vote { leader_id: LEADER, committed: true }).await.expect("saved");
    append(storage, from, to).await;
    commit(storage, from, to).await;
}

/// Commits and applies the entries `from..=to` of the log.
pub(crate) async fn commit(storage: &Storage, from: u64, to: u64) {
    let entries = storage.log().try_get_log_entries(from..=to).await.expect("read");
    let items = entries.into_iter().map(|entry| Ok((entry, None)));
    storage.state_machine().apply(stream::iter(items)).await.expect("applied");
    storage.log().save_committed(Some(log_id(to))).await.expect("saved");
}

/// What openraft does at start: it restores the state machine and applies what is committed.
pub(crate) async fn start(storage: &Storage) {
    let (mut log, mut state_machine) = (storage.log(), storage.state_machine());
    StorageHelper::new(&mut log, &mut state_machine).with_id(7).get_initial_state().await.expect("restored");
}

/// The whole registry as bytes.
pub(crate) fn image(storage: &Storage) -> Vec<Record> {
    storage.registry().view().records().collect()
}

/// Copies a data folder as a crash would leave it. What the store removes in the background while
/// this walks would be gone after the crash too.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    let Some(entries) = unless_gone(fs::read_dir(from)) else { return };
    for entry in entries {
        let Some(path) = unless_gone(entry).map(|entry| entry.path()) else { continue };
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            unless_gone(fs::copy(&path, &target));
        }
    }
}

fn unless_gone<T>(found: io::Result<T>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("cannot be copied: {error}"),
    }
}

/// The files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
