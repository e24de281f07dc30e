//! Frames of the TCP link: how batches, bulk and side messages lie in a byte stream.
//!
//! Main lane, little endian, [`HEADER_LEN`] bytes and then the payload:
//! ```text
//!  0      4      8              16             24           32
//!  ├ kind ┼ zero ┼ region       ┼ offset       ┼ len        ┤ payload: len bytes
//!    u32    u32    u64            u64            u64
//! ```
//! `kind` is [`BATCH`] (region and offset zero, 1 to `BATCH_LEN_MAX` bytes) or [`BULK`] (the span,
//! 0 to `PUT_LEN_MAX` bytes). Side lane, [`SIDE_HEADER_LEN`] bytes and then the message:
//! ```text
//!  0      4     8
//!  ├ kind ┼ len ┤ message: len bytes, 0 to SIDE_LEN_MAX
//!    u32    u32
//! ```
//! Anything else is refused: a stream that is out of step must end, not be guessed at.

use crate::link::{BATCH_LEN_MAX, Error, PUT_LEN_MAX, SIDE_LEN_MAX, Span};

/// What a main lane header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A batch of so many bytes.
    Batch(usize),
    /// Bulk for this span.
    Bulk(Span),
}

impl Frame {
    pub(super) fn encode(self) -> [u8; HEADER_LEN] {
        let (kind, span) = match self {
            Self::Batch(len) => (
                BATCH,
                Span {
                    region: 0,
                    offset: 0,
                    len: len as u64,
                },
            ),
            Self::Bulk(span) => (BULK, span),
        };
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&span.region.to_le_bytes());
        bytes[16..24].copy_from_slice(&span.offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&span.len.to_le_bytes());
        bytes
    }

    /// # Errors
    /// [`Error::Protocol`] for every header that `encode` does not make.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let kind = u32_at(bytes, 0);
        let zero = u32_at(bytes, 4);
        let region = u64_at(bytes, 8);
        let offset = u64_at(bytes, 16);
        let len = u64_at(bytes, 24);
        if zero != 0 {
            return Err(Error::protocol(format!(
                "reserved word of a frame is {zero:#x}"
            )));
        }
        match kind {
            BATCH => {
                if region != 0 || offset != 0 {
                    return Err(Error::protocol("batch with a region or an offset"));
                }
                if len == 0 || len > BATCH_LEN_MAX as u64 {
                    return Err(out_of_range("batch", len, 1, BATCH_LEN_MAX));
                }
                Ok(Self::Batch(
                    usize::try_from(len).expect("a batch is at most 1 MiB"),
                ))
            }
            BULK if len > PUT_LEN_MAX as u64 => Err(out_of_range("bulk", len, 0, PUT_LEN_MAX)),
            BULK => Ok(Self::Bulk(Span {
                region,
                offset,
                len,
            })),
            _ => Err(Error::protocol(format!("frame of unknown kind {kind:#x}"))),
        }
    }
}

/// Header of a side message of `len` bytes.
pub(super) fn encode_side(len: usize) -> [u8; SIDE_HEADER_LEN] {
    let len = u32::try_from(len).expect("a side message is at most 64 bytes");
    let mut bytes = [0; SIDE_HEADER_LEN];
    bytes[0..4].copy_from_slice(&SIDE.to_le_bytes());
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// Length of the side message that follows.
///
/// # Errors
/// [`Error::Protocol`] for every header that [`encode_side`] does not make.
pub(super) fn decode_side(bytes: &[u8; SIDE_HEADER_LEN]) -> Result<usize, Error> {
    let kind = u32_at(bytes, 0);
    let len = u32_at(bytes, 4) as usize;
    if kind != SIDE {
        return Err(Error::protocol(format!(
            "side message of unknown kind {kind:#x}"
        )));
    }
    if len > SIDE_LEN_MAX {
        return Err(out_of_range("side message", len as u64, 0, SIDE_LEN_MAX));
    }
    Ok(len)
}

fn out_of_range(what: &str, len: u64, len_min: usize, len_max: usize) -> Error {
    Error::protocol(format!(
        "{what} of {len} bytes, allowed are {len_min} to {len_max}"
    ))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Bytes of a main lane header.
pub(super) const HEADER_LEN: usize = 32;

/// Bytes of a side lane header.
pub(super) const SIDE_HEADER_LEN: usize = 8;

/// Kind of a batch.
const BATCH: u32 = 1;

/// Kind of bulk.
const BULK: u32 = 2;

/// Kind of a side message.
const SIDE: u32 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_bytes_are_fixed() {
        let span = Span {
            region: 0x0102,
            offset: 0x0304,
            len: 0x0506,
        };
        let mut expected = [0; HEADER_LEN];
        expected[0] = 2;
        expected[8..10].copy_from_slice(&[2, 1]);
        expected[16..18].copy_from_slice(&[4, 3]);
        expected[24..26].copy_from_slice(&[6, 5]);
        assert_eq!(Frame::Bulk(span).encode(), expected);
        assert_eq!(encode_side(64), [3, 0, 0, 0, 64, 0, 0, 0]);
    }

    #[test]
    fn limits_are_exact() {
        let batch = |len: usize| Frame::decode(&Frame::Batch(len).encode());
        assert_eq!(batch(BATCH_LEN_MAX).unwrap(), Frame::Batch(BATCH_LEN_MAX));
        assert!(batch(BATCH_LEN_MAX + 1).is_err());
        assert!(batch(0).is_err());
        let bulk = |len| {
            Frame::decode(
                &Frame::Bulk(Span {
                    region: 1,
                    offset: 2,
                    len,
                })
                .encode(),
            )
        };
        assert!(bulk(0).is_ok());
        assert!(bulk(PUT_LEN_MAX as u64).is_ok());
        assert!(bulk(PUT_LEN_MAX as u64 + 1).is_err());
        assert!(bulk(u64::MAX).is_err());
        assert!(decode_side(&encode_side(SIDE_LEN_MAX)).is_ok());
        assert!(decode_side(&encode_side(SIDE_LEN_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_header_decodes_to_itself_or_an_error(
            kind in 0_u32..4,
            reserved in prop_oneof![9 => Just(0_u32), 1 => any::<u32>()],
            numbers in any::<[u64; 3]>(),
            shift in 0_u32..64,
        ) {
            let mut bytes = [0; HEADER_LEN];
            bytes[0..4].copy_from_slice(&kind.to_le_bytes());
            bytes[4..8].copy_from_slice(&reserved.to_le_bytes());
            for (index, number) in numbers.iter().enumerate() {
                let at = 8 + index * 8;
                bytes[at..at + 8].copy_from_slice(&(number >> shift).to_le_bytes());
            }
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }

        #[test]
        fn any_side_header_decodes_to_itself_or_an_error(kind in 0_u32..5, len in 0_u32..80) {
            let mut bytes = [0; SIDE_HEADER_LEN];
            bytes[0..4].copy_from_slice(&kind.to_le_bytes());
            bytes[4..8].copy_from_slice(&len.to_le_bytes());
            if let Ok(decoded) = decode_side(&bytes) {
                prop_assert_eq!(encode_side(decoded), bytes);
            }
        }
    }
}
