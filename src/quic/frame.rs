//! Frames on a stream: a length, then so many bytes.

use bytes::Bytes;
use quinn::{RecvStream, SendStream};

use super::QuicError;

/// The largest frame in bytes: above one replication request with its entries, far below memory.
pub const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many bytes are set aside for a frame of which only the length has come.
const UNSEEN_BYTES_MAX: usize = 64 * 1024;

/// Writes one frame.
///
/// # Errors
/// [`QuicError::Malformed`] above the limit, or where the stream has ended.
pub async fn write_frame(stream: &mut SendStream, bytes: impl Into<Bytes>) -> Result<(), QuicError> {
    let bytes = bytes.into();
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let Some(length) = length else {
        return Err(QuicError::Malformed(format!("{} bytes to send, at most {FRAME_BYTES_MAX} fit", bytes.len())));
    };
    let mut chunks = [Bytes::copy_from_slice(&length.to_be_bytes()), bytes];
    stream.write_all_chunks(&mut chunks).await.map_err(|error| QuicError::malformed(&error))
}

/// Reads one frame of `limit` bytes at most; `None` where the stream ended before it.
///
/// # Errors
/// [`QuicError::Malformed`] where it is above the limit, or the stream breaks off within it.
pub async fn read_frame(stream: &mut RecvStream, limit: usize) -> Result<Option<Vec<u8>>, QuicError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(error) => return Err(QuicError::malformed(&error)),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > limit {
        return Err(QuicError::Malformed(format!("a frame of {length} bytes, at most {limit} are taken")));
    }
    // More memory is taken as bytes arrive, so that a length alone costs little.
    let mut bytes = Vec::with_capacity(length.min(UNSEEN_BYTES_MAX));
    while bytes.len() < length {
        let chunk =
            stream.read_chunk(length - bytes.len(), true).await.map_err(|error| QuicError::malformed(&error))?;
        let Some(chunk) = chunk else {
            return Err(QuicError::Malformed(format!("the stream ended after {} of {length} bytes", bytes.len())));
        };
        bytes.extend_from_slice(&chunk.bytes);
    }
    Ok(Some(bytes))
}
