//! One handle and the Redis that it talks to: passwords, TLS, pauses, restarts, a cluster's failover.

use std::{sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use roomraft::{
    adapter::{AdapterError, DistributedAdapter, EventFilter, EventItem, RedisAdapter, RedisOptions, RedisTls},
    model::{DistributedEvent, EventKind, EventPayload, ServerId},
};
use serde_json::json;

use crate::support::{
    redis::{RedisCluster, RedisServer},
    wait::until,
};

const TTL: Duration = Duration::from_mins(1);

fn handle(urls: &[String]) -> RedisAdapter {
    RedisAdapter::new(RedisOptions { call_max: Duration::from_secs(2), ..RedisOptions::new(urls) })
}

fn event(number: u64) -> DistributedEvent {
    DistributedEvent {
        kind: EventKind::from_name("test:number"),
        server_id: Some(ServerId::new("s1").unwrap()),
        room_id: None,
        payload: EventPayload::Json(json!(number)),
        timestamp: 0,
        revision: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn users_and_passwords_come_from_the_url_or_from_elsewhere_and_are_not_shown() {
    let redis = RedisServer::start(&["--requirepass", "sesame-open"]);
    redis.cli(&["acl", "setuser", "me", "on", ">sesame-mine", "~*", "&*", "+@all"]);
    let bad = [
        handle(&[redis.url()]),
        handle(&[format!("redis://:hunter2@127.0.0.1:{}", redis.port)]),
        handle(&[format!("redis://nobody:hunter2@127.0.0.1:{}", redis.port)]),
    ];
    for handle in bad {
        let refused = handle.connect().await.expect_err("it is refused");
        assert!(matches!(refused, AdapterError::Startup(_)), "{refused:?}");
        let words = format!("{refused} {handle:?}");
        assert!(words.contains("user or password") && !words.contains("hunter2"), "{words}");
    }
    let over = RedisOptions {
        user: Some("me".to_owned()),
        password: Some("sesame-mine".to_owned()),
        ..RedisOptions::new([format!("redis://:hunter2@127.0.0.1:{}", redis.port)])
    };
    let good = [
        handle(&[format!("redis://:sesame-open@127.0.0.1:{}", redis.port)]),
        handle(&[format!("redis://me:sesame-mine@127.0.0.1:{}", redis.port)]),
        RedisAdapter::new(over),
    ];
    for handle in good {
        handle.connect().await.expect("let in");
        handle.acquire_lock("door", TTL).await.expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn tls_trusts_the_authority_that_is_given_and_no_other() {
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let (ours, other) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let redis = RedisServer::start_with(|folder, port| {
        let file = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).unwrap();
            folder.join(name).display().to_string()
        };
        let cert = file("cert.pem", certificate.pem());
        let key = file("key.pem", key.serialize_pem());
        let ca = file("ca.pem", ours.pem());
        let port = port.to_string();
        let words = ["--port", "0", "--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
        let words = words.into_iter().chain(["--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"]);
        words.map(str::to_owned).collect()
    });
    let with = |ca: Option<String>, url: String| {
        let tls = RedisTls { ca: ca.map(String::into_bytes), identity: None };
        RedisAdapter::new(RedisOptions { tls, call_max: Duration::from_secs(2), ..RedisOptions::new([url]) })
    };
    let url = format!("rediss://localhost:{}", redis.port);
    let trusted = with(Some(ours.pem()), url.clone());
    trusted.connect().await.expect("the authority is known");
    assert!(trusted.acquire_lock("door", TTL).await.expect("an answer").is_some());
    for (ca, url) in [
        (Some(other.pem()), url.clone()),
        (None, url),
        (Some(ours.pem()), format!("rediss://127.0.0.1:{}", redis.port)),
    ] {
        let refused = with(ca, url).connect().await.expect_err("it is not trusted");
        assert!(matches!(&refused, AdapterError::Startup(words) if words.contains("certificate")), "{refused:?}");
    }
    let plain = handle(&[format!("redis://127.0.0.1:{}", redis.port)]);
    assert!(plain.connect().await.is_err(), "there is no plain-text way in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_paused_redis_is_a_timeout_within_the_time_of_a_call_and_answers_again_after() {
    let redis = RedisServer::start(&[]);
    let handle = handle(&[redis.url()]);
    handle.connect().await.expect("connected");
    let token = handle.acquire_lock("door", TTL).await.expect("an answer").expect("a free lock");
    redis.signal(Signal::SIGSTOP);
    let lost = handle.extend_lock("door", token, TTL).await.expect_err("no answer comes");
    assert!(matches!(lost, AdapterError::Timeout(_)), "{lost:?}");
    let later = handle.extend_lock("door", token, TTL).await.expect_err("no answer comes");
    assert!(matches!(later, AdapterError::Timeout(_) | AdapterError::Unavailable(_)), "{later:?}");
    redis.signal(Signal::SIGCONT);
    assert!(until("an answer", || handle.extend_lock("door", token, TTL)).await, "the lock was held all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_restarted_redis_is_connected_to_again_and_its_subscribers_are_told() {
    let mut redis = RedisServer::start(&[]);
    let handle = Arc::new(handle(&[redis.url()]));
    handle.connect().await.expect("connected");
    let mut events = handle.subscribe(EventFilter::from_pattern("test:number"), None).await.expect("a subscription");
    handle.publish(event(1)).await.expect("published");
    assert!(
        matches!(events.next().await, Some(EventItem::Event(event)) if event.payload == EventPayload::Json(json!(1)))
    );
    redis.kill();
    let refused = handle.acquire_lock("door", TTL).await.expect_err("nobody is there");
    assert!(matches!(refused, AdapterError::Unavailable(_) | AdapterError::Timeout(_)), "{refused:?}");
    let again = handle.acquire_lock("door", TTL).await.expect_err("nobody is there");
    assert!(matches!(&again, AdapterError::Unavailable(words) if words.contains("refused")), "{again:?}");
    redis.restart();
    until("a lock", || async { handle.acquire_lock("door", TTL).await }).await;
    assert_eq!(events.next().await, Some(EventItem::Lagged));
    handle.publish(event(2)).await.expect("published");
    assert!(
        matches!(events.next().await, Some(EventItem::Event(event)) if event.payload == EventPayload::Json(json!(2)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_full_redis_changes_nothing_and_says_so() {
    let redis = RedisServer::start(&[]);
    let handle = handle(&[redis.url()]);
    handle.connect().await.expect("connected");
    redis.cli(&["config", "set", "maxmemory", "1mb"]);
    let refused = handle.acquire_lock("door", TTL).await.expect_err("there is no memory");
    assert!(matches!(&refused, AdapterError::Unavailable(words) if words.contains("full")), "{refused:?}");
    redis.cli(&["config", "set", "maxmemory", "0"]);
    assert!(handle.acquire_lock("door", TTL).await.expect("an answer").is_some(), "nobody had got it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn a_cluster_survives_the_death_of_the_node_that_has_the_key() {
    let mut redis = RedisCluster::start();
    let handle = handle(&redis.urls());
    handle.connect().await.expect("connected");
    let token = handle.acquire_lock("door", TTL).await.expect("an answer").expect("a free lock");
    let owner = redis.owner("dist:{lock:door}:");
    // A replica that never had its master's data does not take its place.
    until("a replica that has it", || async {
        let replicas = redis.servers[owner].cli(&["wait", "1", "1000"]);
        if replicas.trim() == "1" { Ok(()) } else { Err(replicas) }
    })
    .await;
    redis.servers[owner].kill();
    let outcome = handle.extend_lock("door", token, TTL).await;
    if let Err(error) = outcome {
        assert!(matches!(error, AdapterError::Unavailable(_) | AdapterError::Timeout(_)), "{error:?}");
    }
    until("the replica in its place", || async {
        match handle.extend_lock("door", token, TTL).await {
            Ok(held) => Ok(held),
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
    for number in 0..20 {
        let key = format!("other-{number}");
        assert!(handle.acquire_lock(&key, TTL).await.expect("every slot is served").is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server"]
async fn one_url_of_a_cluster_is_enough_and_several_single_servers_are_no_cluster() {
    let redis = RedisCluster::start();
    let handle = handle(&redis.urls()[..1]);
    handle.connect().await.expect("the others are found");
    for number in 0..20 {
        let key = format!("key-{number}");
        assert!(handle.acquire_lock(&key, TTL).await.expect("every slot is served").is_some());
    }
    let (one, two) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let refused = self::handle(&[one.url(), two.url()]).connect().await.expect_err("they are no cluster");
    assert!(matches!(&refused, AdapterError::Startup(words) if words.contains("no Redis Cluster")), "{refused:?}");
}
