//! A configuration that cannot be used: exit code 2 and one line that names the flag or key and the mend.

use crate::command::{Ended, ended, roomraft, run};

/// What is asked of every refusal; `words` must be in the line.
fn assert_refused(told: &str, ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(2), "{told}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{told}");
    assert_eq!(ended.stderr.lines().count(), 1, "{told}: one line, not {:?}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{told}: {word:?} is not in {:?}", ended.stderr);
    }
}

#[test]
fn a_bad_flag_is_refused_in_one_line_that_names_it() {
    let cases: &[(&str, &[&str])] = &[
        ("node", &["--secret-file", "cert secret"]),
        ("node --nosuch 1", &["--nosuch"]),
        ("node --capcity 1", &["--capcity", "did you mean --capacity"]),
        ("nod", &["nod", "did you mean node"]),
        ("node --adapter memory surplus", &["surplus"]),
        ("node --adapter", &["--adapter"]),
        ("node --adapter carrier-pigeon", &["--adapter", "carrier-pigeon", "raft, memory"]),
        ("node --adapter redis", &["--redis-url", "missing", "ROOMRAFT_REDIS_URL"]),
        ("node --adapter redis --redis-url http://127.0.0.1", &["--redis-url", "number 1", "redis://"]),
        ("node --adapter redis --redis-url redis://a,carrier:pigeon", &["--redis-url", "number 2"]),
        ("node --adapter redis --redis-url redis://a --redis-shards 65", &["--redis-shards", "1 to 64"]),
        ("node --adapter redis --redis-url redis://a --redis-prefix a{b}", &["--redis-prefix", "without"]),
        ("node --adapter redis --redis-url redis://a --redis-channel a{b}", &["--redis-channel", "without"]),
        ("node --adapter redis --redis-url redis://a --server-ttl-ms 99", &["--server-ttl-ms", "100 to"]),
        ("node --adapter redis --redis-url redis://a --room-ttl-ms -1", &["--room-ttl-ms", "0 to"]),
        ("node --adapter redis --redis-url redis://a --snapshot-ttl-ms -1", &["--snapshot-ttl-ms", "0 to"]),
        ("node --adapter redis --redis-url redis://a --redis-call-max-ms 0", &["--redis-call-max-ms"]),
        ("node --adapter redis --redis-url rediss://a --redis-ca /nonexistent/ca", &["--redis-ca", "/nonexistent/ca"]),
        ("node --adapter redis --redis-url rediss://a --redis-cert a.pem", &["--redis-key", "missing"]),
        ("node --adapter redis --redis-url redis://a --redis-password-file /nonexistent/p", &["--redis-password-file"]),
        ("node --adapter memory --capacity -5", &["--capacity", "-5", "1 to"]),
        ("node --adapter memory --capacity 0", &["--capacity", "1 to"]),
        ("node --adapter memory --capacity many", &["--capacity", "many", "whole number"]),
        ("node --adapter memory --capacity 99999999999999999999", &["--capacity", "whole number"]),
        ("node --adapter memory --heartbeat-interval-ms -1", &["--heartbeat-interval-ms", "-1"]),
        ("node --adapter memory --snapshot-interval-ms -1", &["--snapshot-interval-ms", "0 to"]),
        ("node --adapter memory --server-ttl-ms 1", &["--server-ttl-ms"]),
        ("node --adapter memory --migration-timeout-ms 0", &["--migration-timeout-ms"]),
        ("node --adapter memory --public-port 70000", &["--public-port", "65535"]),
        ("node --adapter memory --public-address http://a/b", &["--public-address", "host"]),
        ("node --adapter memory --gateway somewhere", &["--gateway", "somewhere", "IP:PORT"]),
        ("node --adapter memory --gateway 127.0.0.1:99999", &["--gateway", "IP:PORT"]),
        ("node --adapter memory --ops 9400", &["--ops", "IP:PORT"]),
        ("node --adapter memory --gateway-tls-cert a.pem", &["--gateway-tls-key", "missing"]),
        ("node --adapter memory --log-format xml", &["--log-format", "text, json"]),
        ("node --adapter memory --room arena=chess", &["--room", "chess", "relay"]),
        ("node --adapter memory --room arena", &["--room", "arena=relay"]),
        ("node --adapter memory --room arena=relay,max_players=-1", &["--room", "max_players", "-1"]),
        ("node --adapter memory --room arena=relay,colour=red", &["--room", "colour"]),
        ("node --adapter memory --room a=relay --room a=relay", &["--room", "twice"]),
        ("node --listen nowhere --secret-file FILE", &["--listen", "nowhere"]),
        ("node --advertise nowhere --secret-file FILE", &["--advertise", "nowhere", "HOST:PORT"]),
        ("node --peers 10.0.0.1,10.0.0.2:7400 --secret-file FILE", &["--peers", "\"10.0.0.1\"", "HOST:PORT"]),
        ("node --bootstrap-expect 0 --secret-file FILE", &["--bootstrap-expect"]),
        ("node --voters-max 4 --secret-file FILE", &["--voters-max", "odd"]),
        ("node --bootstrap-expect 1 --peers a:1,b:1 --secret-file FILE", &["--bootstrap-expect", "majority"]),
        ("node --peers 127.0.0.1:7400 --secret-file FILE", &["--peers", "--bootstrap-expect 1"]),
        ("node --listen 0.0.0.0:7400 --secret-file FILE", &["--advertise"]),
        ("node --election-min-ms 50 --secret-file FILE", &["--election-min-ms"]),
        ("node --adapter memory --strategy chance", &["--strategy", "chance", "random"]),
        ("node --adapter memory --prefer-local perhaps", &["--prefer-local", "perhaps"]),
        ("node --adapter memory --local-preference-percent 101", &["--local-preference-percent"]),
        ("node --adapter memory --duplicate-join-policy maybe", &["--duplicate-join-policy", "reject"]),
        ("node --lease-ms 10 --secret-file FILE", &["--lease-ms"]),
        ("node --secret-file /nonexistent/secret", &["--secret-file", "/nonexistent/secret"]),
        ("node --ca a.pem", &["--ca", "--cert"]),
        ("node --cert a.pem --key b.pem", &["--ca"]),
        ("node --config /nonexistent/node.toml", &["--config", "/nonexistent/node.toml"]),
        ("status --ops nowhere", &["--ops", "nowhere"]),
        ("rooms --limit some", &["--limit", "some"]),
    ];
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef").expect("a secret file");
    for (told, words) in cases {
        let arguments = told.replace("FILE", &secret.display().to_string());
        assert_refused(told, &run(&arguments.split(' ').collect::<Vec<_>>()), words);
    }
}

#[test]
fn a_bad_file_is_refused_in_one_line_that_names_the_key() {
    let cases: &[(&str, &[&str])] = &[
        ("capcity = 7", &["capcity", "unknown key"]),
        ("capacity = \"many\"", &["capacity", "many"]),
        ("capacity = -7", &["--capacity", "-7"]),
        ("capacity =", &["line 1"]),
        ("room = [\"arena=chess\"]", &["--room", "chess"]),
        ("[node]\ncapacity = 7", &["node", "unknown key"]),
        ("secret = \"0123456789abcdef\"", &["secret", "unknown key"]),
    ];
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let path = folder.path().join("node.toml");
    for (text, words) in cases {
        std::fs::write(&path, text).expect("a file");
        let told = run(&["node", "--adapter", "memory", "--config", &path.display().to_string()]);
        assert_refused(text, &told, words);
    }
}

#[test]
fn a_bad_variable_is_named() {
    let told = roomraft().args(["node", "--adapter", "memory"]).env("ROOMRAFT_CAPACITY", "many").output();
    assert_refused("ROOMRAFT_CAPACITY=many", &ended(told.expect("it starts")), &["ROOMRAFT_CAPACITY", "many"]);
}

#[test]
fn a_short_secret_is_refused_and_never_shown() {
    let told = roomraft().arg("node").env("ROOMRAFT_SECRET", "hunter2").output();
    let told = ended(told.expect("it starts"));
    assert_refused("a short secret", &told, &["secret", "16"]);
    assert!(!told.stderr.contains("hunter2"), "{}", told.stderr);
}

#[test]
fn a_password_in_a_bad_redis_url_is_never_shown() {
    let arguments = ["node", "--adapter", "redis", "--redis-url"];
    let told = run(&[&arguments[..], &["reddis://me:hunter2@127.0.0.1"]].concat());
    assert_refused("a bad URL", &told, &["--redis-url"]);
    assert!(!told.stderr.contains("hunter2"), "{}", told.stderr);
    let help = roomraft().args(["node", "--help"]).env("ROOMRAFT_REDIS_URL", "redis://me:hunter2@127.0.0.1").output();
    assert!(!ended(help.expect("it starts")).stdout.contains("hunter2"), "the help shows no value");
}

#[test]
fn flags_go_over_variables_and_variables_over_the_file() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let path = folder.path().join("node.toml");
    // Each layer's value is bad in its own way, so that the refusal tells which one counted.
    std::fs::write(&path, "capacity = -1\nadapter = \"memory\"").expect("a file");
    let told = |variable: Option<&str>, flag: Option<&str>| {
        let mut command = roomraft();
        command.args(["node", "--config"]).arg(&path);
        if let Some(value) = variable {
            command.env("ROOMRAFT_CAPACITY", value);
        }
        command.args(flag.map(|value| format!("--capacity={value}")));
        ended(command.output().expect("it starts"))
    };
    assert_refused("the file", &told(None, None), &["--capacity", "-1"]);
    assert_refused("the variable", &told(Some("-2"), None), &["--capacity", "-2"]);
    assert_refused("the flag", &told(Some("-2"), Some("-3")), &["--capacity", "-3"]);
}

#[test]
fn each_new_secret_is_another_and_long_enough() {
    let secrets: Vec<String> = (0..3).map(|_| run(&["cert", "secret"]).stdout.trim().to_owned()).collect();
    assert!(secrets.iter().all(|secret| secret.len() >= 43), "{secrets:?}");
    assert!(secrets[0] != secrets[1] && secrets[1] != secrets[2] && secrets[0] != secrets[2], "{secrets:?}");
}

#[test]
fn a_command_without_a_node_says_so_and_fails() {
    let port = crate::support::ports::free_port();
    for command in ["status", "servers", "rooms"] {
        let told = run(&[command, "--ops", &format!("127.0.0.1:{port}")]);
        assert_eq!((told.code, told.stdout.as_str()), (Some(1), ""), "{}", told.stderr);
        assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
        assert!(told.stderr.contains("--ops"), "{}", told.stderr);
    }
}
