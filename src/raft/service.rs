//! What this node does for other nodes: it takes the streams that they open.
//!
//! A stream for another node, or of another cluster, is refused with a word; what belongs to
//! consensus goes to openraft, requests of what runs on top of it go to a [`PeerHandler`].

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use metrics::counter;
use openraft::{async_runtime::WatchReceiver, raft::AppendEntriesRequest};
use quinn::{RecvStream, SendStream};
use tracing::{debug, warn};

use super::{
    RaftHandle, SnapshotFolder,
    bootstrap::{Own, PledgeAnswer, PledgeRequest, Presence, RecordFile, Standing, answer_pledge},
    links::{read_message, write_message},
    membership::Membership,
    messages::{
        Answer, ApplicationRefusal, ApplicationRequest, ApplicationResponse, PeerRequest, PeerResponse, StreamHead,
        StreamKind, StreamRefusal,
    },
    snapshot::check_snapshot,
    snapshot_file::SnapshotFile,
    types::{NodeNumber, Snapshot, SnapshotMeta, TypeConfig, Vote},
    wire::{AppendAnswer, AppendFrame, SnapshotFrame, WireVote},
};
use crate::quic::{FRAME_BYTES_MAX, Hello, StreamHandler, read_frame};

/// Serves the requests of what runs on top of consensus.
#[async_trait]
pub trait PeerHandler: Send + Sync + 'static {
    /// Answers one request of another member. Runs in a task of its own on the Raft runtime: it must not block.
    async fn handle(&self, from: NodeNumber, request: ApplicationRequest) -> ApplicationResponse;
}

/// Takes the streams of other nodes.
pub(super) struct Service {
    pub(super) own: Own,
    pub(super) raft: RaftHandle,
    pub(super) record: Arc<RecordFile>,
    pub(super) snapshots: SnapshotFolder,
    pub(super) membership: Membership,
    pub(super) handler: Arc<OnceLock<Arc<dyn PeerHandler>>>,
}

#[async_trait]
impl StreamHandler for Service {
    async fn handle(&self, from: Hello, send: SendStream, receive: RecvStream) {
        let server = from.server_id.clone();
        if let Err(reason) = self.serve(from, send, receive).await {
            counter!("roomraft_peer_streams_failed_total").increment(1);
            debug!(%server, reason, "a stream of another node ended early");
        }
    }
}

type Served = Result<(), String>;

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err takes")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Service {
    async fn serve(&self, from: Hello, mut send: SendStream, mut receive: RecvStream) -> Served {
        let head: Option<StreamHead> = match read_message(&mut receive).await {
            Ok(head) => head,
            Err(error) => {
                let refusal: Answer<()> = Err(StreamRefusal::Malformed);
                write_message(&mut send, &refusal).await.map_err(text)?;
                return Err(text(error));
            }
        };
        let Some(head) = head else { return Ok(()) };
        if let Err(refusal) = self.check(&head) {
            let reason = text(&refusal);
            write_message(&mut send, &Err::<(), _>(refusal)).await.map_err(text)?;
            return Err(reason);
        }
        match head.kind {
            StreamKind::Append => self.append(send, receive).await,
            StreamKind::Snapshot(frame) => self.install(*frame, send, receive).await,
            StreamKind::Request(request) => {
                let answer = self.answer(from, request).await;
                write_message(&mut send, &answer).await.map_err(text)
            }
        }
    }

    /// Whether the stream is for this node, and of the cluster whose log it takes.
    fn check(&self, head: &StreamHead) -> Result<(), StreamRefusal> {
        if let Some(wanted) = head.target.filter(|wanted| *wanted != self.own.node) {
            return Err(StreamRefusal::OtherNode { node: self.own.node, wanted });
        }
        if matches!(head.kind, StreamKind::Request(PeerRequest::Status | PeerRequest::Pledge(_))) {
            return Ok(());
        }
        let (ours, theirs) = (self.record.binding().cluster_id(), head.cluster_id);
        if ours.is_none() || ours != theirs {
            return Err(StreamRefusal::OtherCluster { ours, theirs });
        }
        Ok(())
    }

    async fn append(&self, mut send: SendStream, receive: RecvStream) -> Served {
        let mut answers = std::pin::pin!(self.raft.stream_append(requests(receive)));
        while let Some(answer) = answers.next().await {
            let answer: Answer<AppendAnswer> = match answer {
                Ok(answer) => Ok(answer.into()),
                Err(fatal) => Err(StreamRefusal::NotReady(text(fatal))),
            };
            write_message(&mut send, &answer).await.map_err(text)?;
        }
        // The leader may have gone: there is nobody to tell then.
        let _ = send.finish();
        Ok(())
    }

    /// Receives a snapshot and has it installed. What is not whole is refused before anything is replaced: the leader
    /// sends it again.
    async fn install(&self, frame: SnapshotFrame, mut send: SendStream, mut receive: RecvStream) -> Served {
        let length = frame.length;
        let (vote, meta) = frame.into_parts().ok_or("a snapshot with a membership that cannot be")?;
        let received = match self.receive(length, &mut receive).await {
            Ok(received) => check(received, vote, meta.clone()).await,
            Err(reason) => Err(StreamRefusal::NotReady(reason)),
        };
        let answer: Answer<WireVote> = match received {
            Ok(snapshot) => match self.raft.install_full_snapshot(vote, Snapshot { meta, snapshot }).await {
                Ok(response) => Ok(response.vote.into()),
                Err(fatal) => Err(StreamRefusal::NotReady(text(fatal))),
            },
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &answer {
            warn!(%refusal, "a snapshot from the leader was not installed: it is sent again");
        }
        write_message(&mut send, &answer).await.map_err(text)
    }

    async fn receive(&self, length: u64, receive: &mut RecvStream) -> Result<SnapshotFile, String> {
        let folder = self.snapshots.clone();
        let received = tokio::task::spawn_blocking(move || folder.receive(length)).await;
        let mut incoming = received.map_err(text)?.map_err(text)?;
        while incoming.received() < length {
            let chunk = read_frame(receive, FRAME_BYTES_MAX).await.map_err(text)?;
            let chunk = chunk.ok_or("the sender of a snapshot gave up")?;
            let written = tokio::task::spawn_blocking(move || incoming.write_chunk(&chunk).map(|()| incoming)).await;
            incoming = written.map_err(text)?.map_err(text)?;
        }
        let finished = tokio::task::spawn_blocking(move || incoming.finish()).await;
        finished.map_err(text)?.map_err(text)
    }

    async fn answer(&self, from: Hello, request: PeerRequest) -> Answer<PeerResponse> {
        let not_ready = |error: &dyn std::error::Error| StreamRefusal::NotReady(error.to_string());
        Ok(match request {
            PeerRequest::Vote(frame) => {
                let voted = self.raft.vote(frame.into()).await;
                PeerResponse::Vote(voted.map_err(|error| not_ready(&error))?.into())
            }
            PeerRequest::PreVote(frame) => {
                let voted = self.raft.pre_vote(frame.into()).await;
                PeerResponse::Vote(voted.map_err(|error| not_ready(&error))?.into())
            }
            PeerRequest::TransferLeader(frame) => {
                let taken = self.raft.handle_transfer_leader(frame.into()).await;
                PeerResponse::TransferLeader(taken.map_err(|error| not_ready(&error))?.into())
            }
            PeerRequest::Status => PeerResponse::Status(self.presence(&from)),
            PeerRequest::Pledge(request) => PeerResponse::Pledge(self.pledge(request).await?),
            PeerRequest::Join(request) => PeerResponse::Membership(self.membership.join(request).await),
            PeerRequest::Leave(node) => PeerResponse::Membership(self.membership.leave(node).await),
            PeerRequest::Application(request) => PeerResponse::Application(match self.handler.get() {
                Some(handler) => handler.handle(from.node_id.0, request).await,
                None => ApplicationResponse::Refused(ApplicationRefusal::NotReady("it is starting".to_owned())),
            }),
        })
    }

    fn presence(&self, asker: &Hello) -> Presence {
        let Own { node, member, expect } = self.own.clone();
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let applied = metrics.last_applied.map_or(0, |id| id.index);
        let disowns = metrics.state.is_leader() && metrics.membership_config.get_node(&asker.node_id.0).is_none();
        Presence { node, member, expect, standing: Standing::from(&self.record.binding()), applied, disowns }
    }

    /// A grant is on disk before it is said.
    async fn pledge(&self, request: PledgeRequest) -> Answer<PledgeAnswer> {
        let (record, own) = (Arc::clone(&self.record), self.own.clone());
        let answered = tokio::task::spawn_blocking(move || {
            let mut answer = None;
            let written = record.update(|binding| {
                let (next, said) = answer_pledge(&own, binding, &request);
                answer = Some(said);
                next
            });
            written.map(|_| answer)
        });
        match answered.await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(StreamRefusal::NotReady("it cannot decide".to_owned())),
            Ok(Err(error)) => Err(StreamRefusal::NotReady(text(error))),
            Err(error) => Err(StreamRefusal::NotReady(text(error))),
        }
    }
}

/// Whether a snapshot that was received may be handed to consensus, which takes a bad one for a fault of this node.
async fn check(snapshot: SnapshotFile, vote: Vote, meta: SnapshotMeta) -> Answer<SnapshotFile> {
    if meta.last_log_id.is_some_and(|last| last.leader_id > vote.leader_id) {
        return Err(StreamRefusal::Damaged("it goes on after the leader's own term".to_owned()));
    }
    let checked = tokio::task::spawn_blocking(move || check_snapshot(&snapshot, &meta).map(|()| snapshot)).await;
    match checked {
        Ok(checked) => checked.map_err(|error| StreamRefusal::Damaged(error.to_string())),
        Err(error) => Err(StreamRefusal::NotReady(text(error))),
    }
}

/// The requests of a leader, until its stream ends or garbage comes.
fn requests(receive: RecvStream) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    stream::unfold(receive, |mut receive| async move {
        let frame: Option<AppendFrame> = match read_message(&mut receive).await {
            Ok(frame) => frame,
            Err(error) => {
                debug!(%error, "a leader's stream broke off");
                None
            }
        };
        frame?.into_request().map(|request| (request, receive))
    })
}
