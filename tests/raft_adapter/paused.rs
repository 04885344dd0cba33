//! A leader that is stopped for a while and does not know it: what it says afterwards is not from before.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::{
    killed::{Process, start_all},
    ports::free_address,
    signals::send,
    wait::until,
};

fn leads(process: &mut Process) -> bool {
    process.order("leads");
    process.answer("leads")[0] == "true"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_paused_reads_nothing_stale() {
    let folder = tempfile::tempdir().unwrap();
    let addresses: Vec<_> = (0..3).map(|_| free_address().to_string()).collect();
    let (mut processes, ..) = start_all(folder.path(), &addresses.join(","));
    let mut registered = BTreeSet::new();
    for round in 0..4 {
        let mut leader = 0;
        until("one of them leads", async || {
            leader = processes.iter_mut().position(leads).ok_or("nobody")?;
            Ok::<_, &str>(())
        })
        .await;
        send(&processes[leader].child, Signal::SIGSTOP);
        // The question waits for it; meanwhile the others elect, and write.
        processes[leader].order("servers");
        let other = &mut processes[(leader + 1) % 3];
        let name = format!("server-{round}");
        other.order(&format!("register {name}"));
        assert_eq!(other.answer("registered"), std::slice::from_ref(&name));
        registered.insert(name);
        send(&processes[leader].child, Signal::SIGCONT);
        let seen: BTreeSet<_> = processes[leader].answer("servers").into_iter().collect();
        assert!(seen.is_superset(&registered), "{seen:?} lacks some of {registered:?}");
    }
}
