//! What an error of Redis says of the call that had it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::adapter::AdapterError;

/// Why an attempt failed, in words without passwords.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) sort: Sort,
    problem: String,
}

/// What an error of Redis says of the attempt that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The user, the password or the kind of server is wrong. Nothing was changed.
    Denied,
    /// Redis takes no writes, and will not soon. Nothing was changed.
    Refused,
    /// Redis cannot do it at this moment, or is not reached. Nothing was changed.
    Passing,
    /// Sent, and no answer came.
    Lost,
    /// Redis answered with something that is an error of this program or of its data.
    Broken,
}

impl Failure {
    /// Of an attempt to do something on a connection that stood.
    pub(super) fn of(error: &RedisError) -> Self {
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if denied(error, &text) {
            let mend =
                "give the right ones in the URL or the variables, with the rights to the prefix's keys and channels";
            return Self::new(Sort::Denied, format!("Redis refuses the user or password ({text}): {mend}"));
        }
        if says(&["OOM"]) {
            let mend = "raise its maxmemory or free some";
            return Self::new(Sort::Refused, format!("Redis is full ({text}): {mend}"));
        }
        if says(&["MISCONF", "NOREPLICAS"]) {
            return Self::new(Sort::Refused, format!("Redis takes no writes ({text})"));
        }
        if passing(error) || says(&["BUSY ", "\"BUSY\"", "max number of clients"]) {
            return Self::new(Sort::Passing, format!("Redis: {text}"));
        }
        match error.kind() {
            ErrorKind::Io if error.is_connection_refusal() => Self::new(Sort::Passing, format!("Redis: {text}")),
            ErrorKind::Io => Self::new(Sort::Lost, format!("Redis: {text}")),
            _ => Self::new(Sort::Broken, format!("Redis: {text}")),
        }
    }

    /// Of an attempt to connect: nothing was sent that changes anything.
    pub(super) fn of_connecting(error: &RedisError) -> Self {
        let text = error.to_string();
        if text.contains("cluster support disabled") {
            let mend = "give one URL for a single server";
            return Self::new(Sort::Denied, format!("these Redis URLs are of no Redis Cluster: {mend}"));
        }
        if text.contains("invalid peer certificate") {
            let mend = "give the authority that it comes from";
            return Self::new(Sort::Denied, format!("Redis's certificate is not trusted ({text}): {mend}"));
        }
        if error.kind() == ErrorKind::InvalidClientConfig {
            return Self::new(Sort::Denied, format!("Redis cannot be used as configured: {text}"));
        }
        let failure = Self::of(error);
        let sort = if failure.sort == Sort::Denied { Sort::Denied } else { Sort::Passing };
        Self { sort, ..failure }
    }

    /// Nothing was sent.
    pub(super) fn no_connection() -> Self {
        Self::new(Sort::Passing, "Redis takes no connection in time".to_owned())
    }

    fn new(sort: Sort, problem: String) -> Self {
        Self { sort, problem }
    }

    pub(super) fn is_denied(&self) -> bool {
        self.sort == Sort::Denied
    }

    /// What the caller is told; `unknown` = an earlier attempt may have been carried out.
    pub(super) fn into_error(self, unknown: bool) -> AdapterError {
        match self.sort {
            _ if unknown => AdapterError::Timeout(self.problem),
            Sort::Denied => AdapterError::Startup(self.problem),
            Sort::Refused | Sort::Passing => AdapterError::Unavailable(self.problem),
            Sort::Lost => AdapterError::Timeout(self.problem),
            Sort::Broken => AdapterError::Damaged(self.problem),
        }
    }
}

fn denied(error: &RedisError, text: &str) -> bool {
    let words =
        ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "invalid username-password", "without any password configured"];
    let kinds = [ErrorKind::AuthenticationFailed, ErrorKind::Server(ServerErrorKind::NoPerm)];
    kinds.contains(&error.kind()) || words.iter().any(|word| text.contains(word))
}

fn passing(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
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
