//! Who is not let in, and what it is told.

use std::net::UdpSocket;

use crate::{
    cluster::{DEADLINE, Place, joined, places, security, start_all, stop_all, until, write},
    ports::free_address,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_node_with_another_secret_ends_and_says_why() {
    let member = Place::new("s1", free_address(), &[]);
    let node = member.joined().await;
    let mut stranger = Place::new("s2", free_address(), &[member.config.listen]);
    stranger.config.security = security("quite another secret of somebody's");
    let other = stranger.start().await;
    let reason = tokio::time::timeout(DEADLINE, other.fatal()).await.expect("in time");
    assert!(reason.contains("secret") && reason.contains(&member.config.listen.to_string()), "{reason}");
    assert!(other.joined().await.is_err());
    other.stop().await;
    // The member only logs it and goes on.
    write(&[&node]).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_two_clusters_do_not_mix() {
    let one = Place::new("one", free_address(), &[]);
    let mut two = Place::new("two", free_address(), &[]);
    let (first, second) = (one.joined().await, two.joined().await);
    let (ours, theirs) = (joined(&first).await, joined(&second).await);
    assert_ne!(ours, theirs);
    second.stop().await;

    two.config.peers = vec![one.config.listen.to_string()];
    let second = two.joined().await;
    assert_eq!(joined(&second).await, theirs, "a member stays what it is");
    write(&[&second]).await;
    assert_eq!((first.status().members.len(), second.status().members.len()), (1, 1));
    stop_all(vec![first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_a_living_server_is_not_given_twice() {
    let one = Place::new("same", free_address(), &[]);
    let node = one.joined().await;
    let twin = Place::new("same", free_address(), &[one.config.listen]);
    let other = twin.start().await;
    let early = tokio::time::timeout(std::time::Duration::from_secs(1), other.joined()).await;
    assert!(early.is_err(), "two nodes have one name");
    assert_eq!(node.status().members.len(), 1);
    stop_all(vec![other, node]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sets_with_differing_expects_never_make_two_clusters() {
    let mut places = places(4);
    for (at, place) in places.iter_mut().enumerate() {
        place.config.bootstrap_expect = Some(if at < 2 { 3 } else { 4 });
    }
    let mut nodes = Vec::new();
    for place in &places {
        nodes.push(place.start().await);
    }
    let early = tokio::time::timeout(std::time::Duration::from_secs(1), nodes[0].joined()).await;
    assert!(early.is_err(), "two nodes that expect three founded a cluster");
    assert!(nodes.iter().all(|node| node.status().cluster_id.is_none()));

    // One of them is started anew as the others expect it to be: these three found it, the fourth joins.
    nodes.remove(2).stop().await;
    places[2].config.bootstrap_expect = Some(3);
    nodes.push(places[2].start().await);
    let mut clusters = Vec::new();
    for node in &nodes {
        clusters.push(joined(node).await);
    }
    clusters.dedup();
    assert_eq!(clusters.len(), 1);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_on_the_port_do_no_harm() {
    let places = places(3);
    let nodes = start_all(&places).await;
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for round in 0..2_000_u32 {
        let length = usize::try_from(round).expect("small") % 1300;
        let garbage: Vec<u8> = (0..length).map(|_| rand::random()).collect();
        socket.send_to(&garbage, places[0].config.listen).expect("sent");
    }
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    for node in &nodes {
        until("all go on", node, |status| status.last_applied >= index).await;
    }
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_and_costs_no_rebuild() {
    let place = Place::new("s1", free_address(), &[]);
    place.joined().await.stop().await;
    let mark = place.config.data_dir.join("sled.clean");
    assert!(mark.exists(), "it was stopped in order");
    let taken = UdpSocket::bind(place.config.listen).expect("free");
    let started = roomraft::raft::RaftNode::start(place.config.clone(), roomraft::adapter::EventHub::default()).await;
    let error = started.expect_err("the port is taken").to_string();
    assert!(error.contains(&place.config.listen.to_string()), "{error}");
    assert!(mark.exists(), "the store is still known to be whole");
    drop(taken);
    place.joined().await.stop().await;
}
