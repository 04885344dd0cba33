//! The `roomraft` command.

fn main() {}
