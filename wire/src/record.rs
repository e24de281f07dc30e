//! Records and replies: the fixed layout in which calls travel, and the only code that touches it.
//!
//! A *record* is one call: this header, then the body, padded to 8 bytes. A *reply* answers one
//! awaited record, or acknowledges posted ones. All numbers are little endian.
//!
//! ```text
//! record   0        4    6     8         16        24        32       36    38        40
//!         +--------+----+-----+---------+---------+---------+--------+-----+---------+---------+
//!         | length | op |flags| sequence| context |dep. seq.| thread |lane |dep. lane| replies |
//!         +--------+----+-----+---------+---------+---------+--------+-----+---------+---------+
//! reply    0        4        8         16              24         28       32
//!         +--------+--------+---------+---------------+----------+--------+
//!         | length | status | sequence| executed      | deferred | flags  |
//!         +--------+--------+---------+---------------+----------+--------+
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::call::Op;
use crate::handle::ShadowHandle;
use crate::limits::{RECORD_LEN_MAX, STRING_LEN_MAX};

/// Header of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RecordHeader {
    /// Length of header and body in bytes, a multiple of 8.
    pub len: u32,
    /// Operation code.
    pub op: u16,
    /// Any of [`flags`](mod@flags).
    pub flags: u16,
    /// Position in the submission order of the session, from 1.
    pub sequence: u64,
    /// Context that the issuing thread had current, or null.
    pub context: u64,
    /// Sequence that the lane `dependency_lane` must have passed before this record executes, or 0.
    pub dependency: u64,
    /// Issuing thread: a number of the client's.
    pub thread: u32,
    /// Device of the lease that executes it.
    pub lane: u16,
    /// Lane of the dependency.
    pub dependency_lane: u16,
    /// The client has taken every reply up to this sequence: the server may drop its copies.
    pub replies_taken: u64,
}

/// Header of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct ReplyHeader {
    /// Length of header and body in bytes, a multiple of 8.
    pub len: u32,
    /// `CUresult` of the call.
    pub status: u32,
    /// Sequence of the record that this answers; 0 for an acknowledgement alone.
    pub sequence: u64,
    /// Every record up to this sequence has been executed or handed to a helper: its ring space
    /// may be used again.
    pub executed: u64,
    /// `CUresult` of an earlier posted call of this thread that has not been told yet, or 0.
    pub deferred: u32,
    /// Any of [`reply_flags`].
    pub flags: u32,
}

const _: () = {
    assert!(size_of::<RecordHeader>() == 48);
    assert!(size_of::<ReplyHeader>() == 32);
};

/// Flags of a record.
pub mod flags {
    /// The issuing thread waits for a reply.
    pub const AWAITED: u16 = 1;
    /// All that are defined; others are refused.
    pub const ALL: u16 = AWAITED;
}

/// Flags of a reply.
pub mod reply_flags {
    /// No reply to a record: a stream has reached a host function, or a copy whose source is read
    /// then; the body is a [`HostCall`](crate::body::HostCall). The sequence is 0. Sent behind the
    /// bulk that the stream has copied to the client before.
    pub const CALLBACK: u32 = 1;
    /// All that are defined; others are refused.
    pub const ALL: u32 = CALLBACK;
}

/// Bytes that are no record: ends the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A length that cannot be.
    #[error("{what} of {len} bytes; between {len_min} and {len_max} are legal, by eights")]
    Length {
        /// What had the length.
        what: &'static str,
        /// The length.
        len: usize,
        /// The least.
        len_min: usize,
        /// The most.
        len_max: usize,
    },
    /// Reserved bits that are set.
    #[error("{what} has reserved bits set: {bits:#x}")]
    Reserved {
        /// What had the bits.
        what: &'static str,
        /// All bits of the field.
        bits: u64,
    },
    /// The bytes end before the value does.
    #[error("body ends {missing} bytes before its {what} does")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes that are missing.
        missing: usize,
    },
    /// A string that is not one.
    #[error("string argument is not zero-terminated text")]
    Text,
}

/// One record as received: a checked header and its body.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The header.
    pub header: RecordHeader,
    /// The body without the header.
    pub body: &'a [u8],
}

impl Record<'_> {
    /// Operation code.
    pub fn op(&self) -> Op {
        Op(self.header.op)
    }

    /// Context of the issuing thread.
    pub fn context(&self) -> ShadowHandle {
        ShadowHandle(self.header.context)
    }

    /// Whether a reply is due.
    pub fn is_awaited(&self) -> bool {
        self.header.flags & flags::AWAITED != 0
    }
}

/// One reply as received.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The header.
    pub header: ReplyHeader,
    /// The body without the header.
    pub body: &'a [u8],
}

/// Splits the first record off `batch`.
///
/// # Errors
/// A length that is too small, too large, no multiple of 8 or longer than the batch; unknown flags.
pub fn split_record<'a>(batch: &mut &'a [u8]) -> Result<Record<'a>, WireError> {
    let (header, body) = split::<RecordHeader>(batch, "record", |header| header.len)?;
    if header.flags & !flags::ALL != 0 {
        return Err(WireError::Reserved {
            what: "record",
            bits: u64::from(header.flags),
        });
    }
    Ok(Record { header, body })
}

/// Splits the first reply off `batch`.
///
/// # Errors
/// As [`split_record`].
pub fn split_reply<'a>(batch: &mut &'a [u8]) -> Result<Reply<'a>, WireError> {
    let (header, body) = split::<ReplyHeader>(batch, "reply", |header| header.len)?;
    if header.flags & !reply_flags::ALL != 0 {
        return Err(WireError::Reserved {
            what: "reply",
            bits: u64::from(header.flags),
        });
    }
    Ok(Reply { header, body })
}

fn split<'a, H: FromBytes + Copy>(
    batch: &mut &'a [u8],
    what: &'static str,
    len_of: impl Fn(&H) -> u32,
) -> Result<(H, &'a [u8]), WireError> {
    let Ok((header, _)) = H::read_from_prefix(batch) else {
        return Err(WireError::Short {
            what,
            missing: size_of::<H>() - batch.len(),
        });
    };
    let len = len_of(&header) as usize;
    let (len_min, len_max) = (size_of::<H>(), RECORD_LEN_MAX);
    if len < len_min || len > len_max || !len.is_multiple_of(8) {
        return Err(WireError::Length {
            what,
            len,
            len_min,
            len_max,
        });
    }
    let Some((whole, rest)) = batch.split_at_checked(len) else {
        return Err(WireError::Short {
            what,
            missing: len - batch.len(),
        });
    };
    *batch = rest;
    Ok((header, &whole[size_of::<H>()..]))
}

/// Appends one record or reply to a batch: the header goes first and is completed last.
#[derive(Debug)]
pub struct Writer<'a> {
    batch: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// Starts a record.
    pub fn record(batch: &'a mut Vec<u8>, header: RecordHeader) -> Self {
        Self::start(batch, header.as_bytes())
    }

    /// Starts a reply.
    pub fn reply(batch: &'a mut Vec<u8>, header: ReplyHeader) -> Self {
        Self::start(batch, header.as_bytes())
    }

    /// Writes a body alone, to be given to [`Writer::bytes`] of a record later.
    pub fn body(batch: &'a mut Vec<u8>) -> Self {
        let start = batch.len();
        Self { batch, start }
    }

    fn start(batch: &'a mut Vec<u8>, header: &[u8]) -> Self {
        let start = batch.len();
        batch.extend_from_slice(header);
        Self { batch, start }
    }

    /// A 64-bit number.
    pub fn u64(&mut self, value: u64) {
        self.batch.extend_from_slice(&value.to_le_bytes());
    }

    /// A struct of fixed layout, padded to 8 bytes.
    pub fn put<T: IntoBytes + Immutable>(&mut self, value: &T) {
        self.raw(value.as_bytes());
    }

    /// Bytes without their length, padded to 8 bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.batch.extend_from_slice(bytes);
        let whole = self.batch.len().next_multiple_of(8);
        self.batch.resize(whole, 0);
    }

    /// Bytes with their length, padded to 8 bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Completes the length in the header and returns it in bytes.
    ///
    /// # Errors
    /// [`WireError::Length`] when the record is over [`RECORD_LEN_MAX`]; it is taken back.
    pub fn finish(self) -> Result<usize, WireError> {
        let len = self.batch.len() - self.start;
        if len > RECORD_LEN_MAX {
            self.batch.truncate(self.start);
            let (len_min, len_max) = (0, RECORD_LEN_MAX);
            return Err(WireError::Length {
                what: "record",
                len,
                len_min,
                len_max,
            });
        }
        let short = u32::try_from(len).expect("a record is below 4 GiB");
        self.batch[self.start..self.start + 4].copy_from_slice(&short.to_le_bytes());
        Ok(len)
    }
}

/// Reads a body. Every method fails rather than read past the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn u64(&mut self) -> Result<u64, WireError> {
        let bytes = self.take(8, "number")?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("eight bytes were taken"),
        ))
    }

    /// A struct of fixed layout.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn get<T: FromBytes>(&mut self) -> Result<T, WireError> {
        let bytes = self.raw(size_of::<T>())?;
        Ok(T::read_from_bytes(bytes).expect("as many bytes as the struct has were taken"))
    }

    /// Bytes of a known length, and their padding.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let padded = len.checked_next_multiple_of(8).unwrap_or(usize::MAX);
        Ok(&self.take(padded, "bytes")?[..len])
    }

    /// Bytes that carry their length.
    ///
    /// # Errors
    /// [`WireError::Short`].
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        self.raw(len)
    }

    /// A zero-terminated string with its length, as C wants it.
    ///
    /// # Errors
    /// [`WireError::Short`]; [`WireError::Text`] without exactly one zero, at the end;
    /// [`WireError::Length`] over [`STRING_LEN_MAX`].
    pub fn text(&mut self) -> Result<&'a std::ffi::CStr, WireError> {
        let bytes = self.bytes()?;
        if bytes.len() > STRING_LEN_MAX {
            let (len, len_min, len_max) = (bytes.len(), 1, STRING_LEN_MAX);
            return Err(WireError::Length {
                what: "string",
                len,
                len_min,
                len_max,
            });
        }
        std::ffi::CStr::from_bytes_with_nul(bytes).map_err(|_| WireError::Text)
    }

    /// All that is left, padding included.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(WireError::Short {
                what,
                missing: len - self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let mut batch = Vec::new();
        let header = RecordHeader {
            op: 8,
            flags: flags::AWAITED,
            sequence: 7,
            ..Default::default()
        };
        let mut writer = Writer::record(&mut batch, header);
        writer.bytes(body);
        writer.finish().unwrap();
        batch
    }

    proptest! {
        #[test]
        fn a_record_comes_back(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let batch = record(&body);
            let mut rest = &batch[..];
            let record = split_record(&mut rest).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert!(record.is_awaited());
            prop_assert_eq!(Reader::new(record.body).bytes().unwrap(), &body[..]);
        }

        #[test]
        fn any_bytes_are_records_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut rest = &bytes[..];
            while let Ok(record) = split_record(&mut rest) {
                let mut reader = Reader::new(record.body);
                while reader.bytes().is_ok() {}
            }
            let mut rest = &bytes[..];
            while split_reply(&mut rest).is_ok() {}
        }
    }

    #[test]
    fn lengths_are_checked() {
        let mut batch = record(b"abc");
        batch[0] = 47;
        assert!(matches!(
            split_record(&mut &batch[..]),
            Err(WireError::Length { len: 47, .. })
        ));
        batch[0] = 200;
        assert!(matches!(
            split_record(&mut &batch[..]),
            Err(WireError::Short { .. })
        ));
        batch[6] = 0x80;
        batch[0] = 64;
        assert!(matches!(
            split_record(&mut &batch[..]),
            Err(WireError::Reserved { .. })
        ));
    }

    #[test]
    fn an_oversized_record_is_taken_back() {
        let mut batch = vec![1, 2, 3, 4, 5, 6, 7, 8];
        let mut writer = Writer::record(&mut batch, RecordHeader::default());
        writer.bytes(&vec![0; RECORD_LEN_MAX]);
        assert!(writer.finish().is_err());
        assert_eq!(batch.len(), 8);
    }

    #[test]
    fn text_needs_its_zero() {
        let mut body = Vec::new();
        let mut writer = Writer::body(&mut body);
        writer.bytes(b"ab\0");
        writer.bytes(b"ab");
        let mut reader = Reader::new(&body);
        assert_eq!(reader.text().unwrap(), c"ab");
        assert_eq!(reader.text(), Err(WireError::Text));
    }
}
