//! Who stays a member, who votes, and who is gone.

use std::{fs, time::Duration};

use roomraft::raft::{RaftNode, RaftNodeError};

use crate::cluster::{Place, leader_of, places, start_all, stop_all, until, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_takes_the_seat_of_its_dead_self() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    write(&nodes.iter().collect::<Vec<_>>()).await;
    let leader = leader_of(&nodes).await;
    let lost = (leader + 1) % 3;
    let before = nodes[lost].status().node_id;
    nodes.remove(lost).stop().await;

    let peers: Vec<_> = places.iter().map(|place| place.config.listen).collect();
    let wiped = Place::new(places[lost].config.server_id.as_str(), places[lost].config.listen, &peers);
    let node = wiped.joined().await;
    assert_ne!(node.status().node_id, before);
    let status = until("three voters, the new node among them", &node, |status| {
        status.members.len() == 3 && status.members.iter().all(|member| member.voter)
    })
    .await;
    assert!(status.members.iter().all(|member| member.node_id != before), "{status:?}");
    nodes.push(node);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_takes_the_seat_of_a_voter_that_stays_dead() {
    let mut places = places(4);
    for place in &mut places {
        place.config.voters_max = 3;
        place.config.voter_silence_max = Duration::from_secs(2);
    }
    let mut nodes = start_all(&places).await;
    let (learner, dead) = (learner_of(&nodes[0]), follower_of(&nodes).await);
    let dead_id = nodes[dead].status().node_id;
    nodes.remove(dead).stop().await;
    for node in &nodes {
        until("the learner votes, and the dead one does not", node, |status| {
            votes(status, &learner) == Some(true) && votes(status, &dead_id) == Some(false)
        })
        .await;
    }
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;

    // It comes back, and is in reserve for the next one that dies.
    let back = places[dead].joined().await;
    until("it has what was written meanwhile", &back, |status| status.last_applied >= index).await;
    nodes.push(back);
    let next = follower_of(&nodes).await;
    assert_ne!(nodes[next].status().node_id, dead_id, "it follows without a vote");
    nodes.remove(next).stop().await;
    for node in &nodes {
        until("it votes again", node, |status| votes(status, &dead_id) == Some(true)).await;
    }
    write(&nodes.iter().collect::<Vec<_>>()).await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_leave_from_three_to_one_the_leader_first() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    let mut index = write(&nodes.iter().collect::<Vec<_>>()).await;
    let mut first_gone = None;
    while nodes.len() > 1 {
        let leader = leader_of(&nodes).await;
        let gone = nodes.remove(leader);
        let name = gone.status().leader.expect("it leads");
        gone.leave().await.expect("it may leave");
        assert!(gone.leave().await.is_err(), "it is gone already");
        for node in &nodes {
            until("it is no member", node, |status| status.members.len() == nodes.len()).await;
        }
        gone.stop().await;
        let later = write(&nodes.iter().collect::<Vec<_>>()).await;
        assert!(later > index);
        index = later;
        first_gone.get_or_insert(name);
    }
    let why = nodes[0].leave().await.expect_err("somebody must keep what there is");
    assert!(why.contains("only voter"), "{why}");

    // What is left in its folder is of no use; without it the server joins as a new node.
    let first_gone = first_gone.expect("one has left");
    let place = places.iter().find(|place| place.config.server_id.as_str() == first_gone).expect("its place");
    let again = RaftNode::start(place.config.clone(), roomraft::adapter::EventHub::default()).await;
    let error = again.expect_err("it has left");
    assert!(matches!(error, RaftNodeError::Left { .. }) && error.to_string().contains("--data-dir"), "{error}");
    fs::remove_dir_all(&place.config.data_dir).expect("removed");
    nodes.push(place.joined().await);
    for node in &nodes {
        until("there are two again", node, |status| status.members.len() == 2).await;
    }
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_forgotten_while_it_was_away_becomes_one_again() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    let away = follower_of(&nodes).await;
    let node = nodes.remove(away);
    let number = *node.raft().node_id();
    let node_id = node.status().node_id;
    node.stop().await;
    let leader = &nodes[leader_of(&nodes).await];
    let removal = openraft::ChangeMembers::RemoveVoters([number].into());
    leader.raft().change_membership(removal, false).await.expect("removed");
    for node in &nodes {
        until("it is forgotten", node, |status| votes(status, &node_id).is_none()).await;
    }
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    let back = places[away].joined().await;
    until("it is a voter again and has the log", &back, |status| {
        votes(status, &node_id) == Some(true) && status.last_applied >= index
    })
    .await;
    nodes.push(back);
    stop_all(nodes).await;
}

/// Whether a member votes; nothing where it is none.
fn votes(status: &roomraft::raft::RaftStatus, node_id: &str) -> Option<bool> {
    status.members.iter().find(|member| member.node_id == node_id).map(|member| member.voter)
}

fn learner_of(node: &RaftNode) -> String {
    let status = node.status();
    status.members.into_iter().find(|member| !member.voter).expect("one does not vote").node_id
}

/// The place of a voter that does not lead.
async fn follower_of(nodes: &[RaftNode]) -> usize {
    let leader = leader_of(nodes).await;
    let status = nodes[leader].status();
    let follows = |node: &RaftNode| {
        let own = node.status().node_id;
        votes(&status, &own) == Some(true) && own != status.node_id
    };
    nodes.iter().position(follows).expect("a follower")
}
