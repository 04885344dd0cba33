//! How a cluster comes about, grows, and comes back.

use crate::{
    cluster::{Place, joined, places, start_all, stop_all, until, write},
    ports::free_address,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_alone_is_a_cluster() {
    let place = Place::new("alone", free_address(), &[]);
    let node = place.joined().await;
    let index = write(&[&node]).await;
    let status = until("it has applied what it wrote", &node, |status| status.last_applied >= index).await;
    assert_eq!((status.leader.as_deref(), status.quorum, status.members.len()), (Some("alone"), true, 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_fresh_nodes_form_one_cluster_in_any_order() {
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let places = places(3);
        let mut nodes = Vec::new();
        for at in order {
            nodes.push(places[at].start().await);
        }
        let mut clusters = Vec::new();
        for node in &nodes {
            clusters.push(joined(node).await);
        }
        clusters.dedup();
        assert_eq!(clusters.len(), 1, "{clusters:?}");
        for node in &nodes {
            let status = until("three voters", node, |status| status.members.len() == 3).await;
            assert!(status.members.iter().all(|member| member.voter), "{status:?}");
        }
        write(&nodes.iter().collect::<Vec<_>>()).await;
        stop_all(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_third_node_is_waited_for() {
    let places = places(3);
    let first = places[0].start().await;
    let second = places[1].start().await;
    let alone = tokio::time::timeout(std::time::Duration::from_millis(700), first.joined()).await;
    assert!(alone.is_err(), "two of three founded a cluster");
    let third = places[2].start().await;
    for node in [&first, &second, &third] {
        joined(node).await;
    }
    stop_all(vec![first, second, third]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_and_a_fifth_node_join_live() {
    let places = places(3);
    let mut nodes = start_all(&places).await;
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    let peers: Vec<_> = places.iter().map(|place| place.config.listen).collect();

    let fourth = Place::new("s4", free_address(), &peers);
    let node = fourth.joined().await;
    assert_eq!(joined(&node).await, joined(&nodes[0]).await);
    let status = until("it has the log", &node, |status| status.last_applied >= index).await;
    assert_eq!(status.members.iter().filter(|member| member.voter).count(), 3, "four voters are worse than three");
    nodes.push(node);

    // It needs to know one member alone.
    let fifth = Place::new("s5", free_address(), &peers[1..2]);
    nodes.push(fifth.joined().await);
    for node in &nodes {
        until("five voters", node, |status| status.members.iter().filter(|member| member.voter).count() == 5).await;
    }
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_restart_keeps_the_cluster_and_its_log() {
    let places = places(3);
    let nodes = start_all(&places).await;
    let cluster = joined(&nodes[0]).await;
    let index = write(&nodes.iter().collect::<Vec<_>>()).await;
    stop_all(nodes).await;

    let nodes = start_all(&places).await;
    for node in &nodes {
        assert_eq!(joined(node).await, cluster);
        until("nothing acknowledged is lost", node, |status| status.last_applied >= index).await;
    }
    write(&nodes.iter().collect::<Vec<_>>()).await;
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_moved_to_other_addresses_finds_itself() {
    let mut places = places(3);
    let nodes = start_all(&places).await;
    let cluster = joined(&nodes[0]).await;
    stop_all(nodes).await;

    let moved: Vec<_> = places.iter().map(|_| free_address()).collect();
    for (place, address) in places.iter_mut().zip(&moved) {
        place.config.listen = *address;
        place.config.peers = moved.iter().map(ToString::to_string).collect();
    }
    let nodes = start_all(&places).await;
    assert_eq!(joined(&nodes[0]).await, cluster);
    for node in &nodes {
        until("the membership has the new addresses", node, |status| {
            status.members.iter().all(|member| moved.iter().any(|address| address.to_string() == member.addr))
        })
        .await;
    }
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_stop_while_they_found_a_cluster_end_in_one() {
    let places = places(3);
    for round in 0..4_u64 {
        // Each round gets further than the one before; the last may have founded the cluster already.
        let mut nodes = Vec::new();
        for place in &places {
            nodes.push(place.start().await);
        }
        let enough = std::time::Duration::from_millis(60 * round);
        let _ = tokio::time::timeout(enough, nodes[0].joined()).await;
        stop_all(nodes).await;
    }
    let nodes = start_all(&places).await;
    let cluster = joined(&nodes[0]).await;
    for node in &nodes {
        assert_eq!(joined(node).await, cluster);
    }
    write(&nodes.iter().collect::<Vec<_>>()).await;
    stop_all(nodes).await;
}
