//! Records and frames as bytes, and back.
//!
//! The one place that knows the encoding: bincode behind a version byte, with a size limit on
//! every decode. It is meant to be replaceable, since bincode 2 is no longer developed.
//! Nothing here panics on bytes from outside.

use std::io::{self, Write};

use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Serialize};

/// The version byte before each encoded value.
const VERSION: u8 = 1;

/// The largest value that is decoded, in bytes: far above any record or frame, far below the memory of a machine.
const DECODE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes that are not what they should be, or a value that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Nothing at all, where a version byte was due.
    #[error("the encoding is empty")]
    Empty,
    /// Another version of the encoding.
    #[error("the encoding has version {found}, this program reads version {VERSION}")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// Bytes beyond the end of the value.
    #[error("{extra} bytes follow the encoded value")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// Bytes that do not spell the value.
    #[error("malformed encoding: {0}")]
    Malformed(#[from] DecodeError),
    /// A value that cannot be encoded.
    #[error("cannot encode: {0}")]
    Unencodable(#[from] EncodeError),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<DECODE_BYTES_MAX>()
}

/// Encodes a value.
///
/// # Errors
/// [`CodecError::Unencodable`] where its `Serialize` fails.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    // Counting first is cheaper than growing, and nothing is left over in what is kept.
    let mut bytes = Vec::with_capacity(encoded_size(value)?);
    write(value, &mut bytes)?;
    Ok(bytes)
}

/// As [`encode`], into a writer, without bytes of its own in between.
///
/// # Errors
/// That of the writer; `InvalidData` where the `Serialize` fails. Some of it may be written then.
pub fn encode_into<T: Serialize, W: Write>(value: &T, writer: &mut W) -> io::Result<()> {
    write(value, writer).map_err(|error| match error {
        EncodeError::Io { inner, .. } => inner,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    })
}

fn write<T: Serialize, W: Write>(value: &T, writer: &mut W) -> Result<(), EncodeError> {
    writer.write_all(&[VERSION]).map_err(|inner| EncodeError::Io { inner, index: 0 })?;
    bincode::serde::encode_into_std_write(value, writer, config()).map(drop)
}

/// How many bytes [`encode`] would give, without keeping them.
///
/// # Errors
/// [`CodecError::Unencodable`] where its `Serialize` fails.
pub fn encoded_size<T: Serialize>(value: &T) -> Result<usize, CodecError> {
    let mut counter = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(value, &mut counter, config())?;
    Ok(counter.bytes_written + 1)
}

/// Decodes one value that fills `bytes` wholly; it may borrow from them.
///
/// # Errors
/// Any [`CodecError`] but `Unencodable`; never panics.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    match bytes {
        [] => Err(CodecError::Empty),
        [VERSION, rest @ ..] => {
            let (value, read) = bincode::serde::borrow_decode_from_slice(rest, config())?;
            match rest.len() - read {
                0 => Ok(value),
                extra => Err(CodecError::Trailing { extra }),
            }
        }
        [found, ..] => Err(CodecError::Version { found: *found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_known_value_never_change() {
        let bytes = encode(&(300_u64, "room", Some(7_u8))).expect("plain data");
        assert_eq!(bytes, [1, 251, 44, 1, 4, b'r', b'o', b'o', b'm', 1, 7]);
        assert_eq!(encoded_size(&(300_u64, "room", Some(7_u8))).expect("plain data"), bytes.len());
    }

    #[test]
    fn what_is_not_an_encoding_is_an_error() {
        assert!(matches!(decode::<u8>(&[]), Err(CodecError::Empty)));
        assert!(matches!(decode::<u8>(&[9, 1]), Err(CodecError::Version { found: 9 })));
        assert!(matches!(decode::<u8>(&[1, 1, 1]), Err(CodecError::Trailing { extra: 1 })));
        assert!(matches!(decode::<String>(&[1, 253, 255, 255, 255, 255]), Err(CodecError::Malformed(_))));
    }
}
