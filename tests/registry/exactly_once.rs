//! A command that comes twice changes nothing the second time.

use roomraft::registry::{Applied, Command, Operation, Origin, ProposerId, Registry, Rejection, Reply};

fn propose(registry: &mut Registry, incarnation: u64, serial: u64, settled_below: u64, key: &str) -> Applied {
    let proposer = ProposerId { node: 1, incarnation };
    let operation = Operation::AcquireLock { key: key.to_owned(), ttl_ms: 1000 };
    let origin = Some(Origin { proposer, serial, settled_below });
    registry.apply(&Command { time_ms: 0, origin, operation })
}

#[test]
fn a_retry_gets_the_outcome_of_the_first_try() {
    let mut registry = Registry::default();
    let first = propose(&mut registry, 1, 0, 0, "a");
    let again = propose(&mut registry, 1, 0, 0, "a");
    assert!(matches!(first.reply, Reply::Lock(_)));
    assert_eq!(again.reply, first.reply);
    assert!(again.changes.is_empty() && again.events.is_empty());
}

#[test]
fn serials_may_come_in_any_order() {
    let mut registry = Registry::default();
    let second = propose(&mut registry, 1, 1, 0, "b");
    let first = propose(&mut registry, 1, 0, 0, "a");
    assert!(matches!((&first.reply, &second.reply), (Reply::Lock(_), Reply::Lock(_))));
    assert_eq!(propose(&mut registry, 1, 1, 0, "b").reply, second.reply);
}

#[test]
fn a_settled_command_is_not_run_again() {
    let mut registry = Registry::default();
    propose(&mut registry, 1, 0, 0, "a");
    propose(&mut registry, 1, 1, 1, "b");
    let late = propose(&mut registry, 1, 0, 0, "c");
    assert_eq!(late.reply, Reply::Rejected(Rejection::Superseded));
    assert_eq!(registry.lock("c"), None);
}

#[test]
fn a_newer_process_of_the_node_ends_the_older() {
    let mut registry = Registry::default();
    let older = propose(&mut registry, 1, 0, 0, "a");
    let newer = propose(&mut registry, 2, 0, 0, "b");
    assert!(matches!((&older.reply, &newer.reply), (Reply::Lock(_), Reply::Lock(_))));
    let late = propose(&mut registry, 1, 1, 0, "c");
    assert_eq!(late.reply, Reply::Rejected(Rejection::Superseded));
    assert_eq!(registry.lock("c"), None);
}
