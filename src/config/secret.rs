//! The cluster secret: from a file or the environment, never from the command line, never in a log.

use std::path::Path;

use super::ConfigError;
use crate::quic::ClusterSecret;

/// The variable that may hold the secret itself.
const SECRET_VARIABLE: &str = "ROOMRAFT_SECRET";
/// The variable with the operators' token, where it is not derived from the secret.
const OPS_TOKEN_VARIABLE: &str = "ROOMRAFT_OPS_TOKEN";

/// The variable that may hold Redis's password itself.
const REDIS_PASSWORD_VARIABLE: &str = "ROOMRAFT_REDIS_PASSWORD";

/// The secret of the file, else that of the environment, else none.
pub(crate) fn secret(file: Option<&Path>) -> Result<Option<ClusterSecret>, ConfigError> {
    match (file, variable(SECRET_VARIABLE)) {
        (Some(path), _) => match ClusterSecret::read(path) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => Err(ConfigError::new(&format!("--secret-file: {error}"))),
        },
        (None, Some(text)) => match ClusterSecret::parse(&text) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => Err(ConfigError::new(&format!("{SECRET_VARIABLE}: {error}"))),
        },
        (None, None) => Ok(None),
    }
}

/// The operators' token of the environment.
pub(crate) fn ops_token() -> Option<String> {
    variable(OPS_TOKEN_VARIABLE).map(|token| token.trim().to_owned())
}

/// Redis's password: of the file, else of the environment, else none.
pub(super) fn redis_password(file: Option<&Path>) -> Result<Option<String>, ConfigError> {
    let Some(path) = file else { return Ok(variable(REDIS_PASSWORD_VARIABLE)) };
    let refuse = |problem: String| {
        let mend = "name a file whose first line is the password";
        Err(ConfigError::flag("redis-password-file", problem, mend))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => match text.lines().next().filter(|line| !line.is_empty()) {
            Some(password) => Ok(Some(password.to_owned())),
            None => refuse(format!("{} holds no password", path.display())),
        },
        Err(error) => refuse(format!("{} cannot be read ({error})", path.display())),
    }
}

/// An empty variable is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
