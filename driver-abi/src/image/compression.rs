//! The two ways in which payloads are compressed, with bounds on what they may unpack to.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use super::ImageError;

/// Unpacks one zstd frame (RFC 8878) to exactly `len` bytes.
pub(super) fn zstd(compressed: &[u8], len: usize) -> Result<Vec<u8>, ImageError> {
    let error = |reason: String| ImageError::Compression {
        format: "zstd",
        len: compressed.len(),
        reason,
    };
    // The decoder reserves its window before it reads a block.
    let window_max = (len as u64).max(WINDOW_LEN_MIN);
    if window_len(compressed).is_none_or(|window| window > window_max) {
        return Err(error(format!("a window of more than {window_max} bytes")));
    }
    let decoder = StreamingDecoder::new(compressed).map_err(|cause| error(cause.to_string()))?;
    // Grows as it is filled, so that a small frame cannot make us take much; one byte more than
    // declared is enough to see that there is too much.
    let mut output = Vec::new();
    let mut limited = decoder.take(len as u64 + 1);
    limited
        .read_to_end(&mut output)
        .map_err(|cause| error(cause.to_string()))?;
    if output.len() != len {
        return Err(error(format!(
            "{} bytes or more instead of {len}",
            output.len()
        )));
    }
    Ok(output)
}

/// The window that a frame's header asks for (RFC 8878, section 3.1.1.1), `None` if it has none.
fn window_len(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.get(4)?;
    if descriptor & SINGLE_SEGMENT == 0 {
        let window = *frame.get(5)?;
        let base = 1u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // The window is the content; its length lies behind the dictionary's id.
    let start = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_len = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let field = frame.get(start..start + content_len)?;
    let value = field
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    Some(if content_len == 2 { value + 256 } else { value })
}

/// Unpacks one raw LZ4 block to exactly `len` bytes.
pub(super) fn lz4(compressed: &[u8], len: usize) -> Result<Vec<u8>, ImageError> {
    let error = |reason: String| ImageError::Compression {
        format: "LZ4",
        len: compressed.len(),
        reason,
    };
    // A byte of a block yields at most 255 bytes.
    if len / LZ4_RATIO_MAX > compressed.len() {
        return Err(error(format!("cannot yield {len} bytes")));
    }
    let mut output = vec![0; len];
    let written = lz4_flex::block::decompress_into(compressed, &mut output)
        .map_err(|cause| error(cause.to_string()))?;
    if written != len {
        return Err(error(format!("{written} bytes instead of {len}")));
    }
    Ok(output)
}

/// What every decoder is recommended to support; larger only where the content is larger.
const WINDOW_LEN_MIN: u64 = 8 << 20;
const SINGLE_SEGMENT: u8 = 0x20;
const LZ4_RATIO_MAX: usize = 255;
