//! What an error of Redis says of the call that it ended.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::adapter::AdapterError;

/// An error, judged.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    problem: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Redis cannot do it just now, and has done nothing.
    Passing,
    /// The connection is gone, or no answer came: it may have been done.
    Lost,
    /// Nobody listens there: nothing was sent.
    Refused,
    /// It is about the user or the password.
    Denied,
    /// Redis has no memory or disk left for it; nothing was done.
    Full,
    /// Redis did not understand, or holds something unexpected.
    Broken,
}

impl Failure {
    pub(super) fn new(error: &RedisError) -> Self {
        let text = error.to_string();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let kind = if error.kind() == ErrorKind::AuthenticationFailed
            || has(&["WRONGPASS", "NOAUTH", "NOPERM", "invalid username-password", "invalid password"])
        {
            Kind::Denied
        } else if has(&["OOM", "MISCONF", "NOREPLICAS"]) {
            Kind::Full
        } else if error.is_connection_refusal() || error.kind() == ErrorKind::ClusterConnectionNotFound {
            Kind::Refused
        } else if is_passing(error) || has(&["BUSY "]) {
            Kind::Passing
        } else if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            Kind::Broken
        } else {
            Kind::Lost
        };
        Self { problem: text, kind }
    }

    /// No answer within the time of one attempt.
    pub(super) fn silence() -> Self {
        Self { problem: "no answer in time".to_owned(), kind: Kind::Lost }
    }

    /// The same, where the call was not sent yet.
    pub(super) fn before_sending(mut self) -> Self {
        if self.kind == Kind::Lost {
            self.kind = Kind::Refused;
        }
        self
    }

    /// Whether the call may have taken effect.
    pub(super) fn may_have_worked(&self) -> bool {
        self.kind == Kind::Lost
    }

    /// Whether the connection is of no more use.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(self.kind, Kind::Lost | Kind::Refused)
    }

    /// Whether it is worth trying again.
    pub(super) fn passes(&self) -> bool {
        matches!(self.kind, Kind::Passing | Kind::Lost | Kind::Refused)
    }

    /// What the caller gets; `unclear` where an earlier attempt may have worked.
    pub(super) fn into_error(self, unclear: bool) -> AdapterError {
        let Self { problem, kind } = self;
        match kind {
            Kind::Denied => AdapterError::Startup(format!(
                "Redis refuses the user or the password: give those of its ACL in the URL or its variables ({problem})"
            )),
            Kind::Full => AdapterError::Unavailable(format!(
                "Redis takes no writes: give it more memory or disk, or see to its replicas ({problem})"
            )),
            Kind::Broken => AdapterError::Damaged(format!("Redis: {problem}")),
            Kind::Passing | Kind::Refused if !unclear => AdapterError::Unavailable(format!("Redis: {problem}")),
            Kind::Passing | Kind::Refused | Kind::Lost => AdapterError::Timeout(format!("Redis: {problem}")),
        }
    }
}

fn is_passing(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
        )
    )
}
