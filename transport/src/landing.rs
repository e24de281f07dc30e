//! One piece of bulk on its way into the memory that its owner named for it.
//!
//! The only place that writes through a raw address. A [`Landing`] exists from the moment the sink
//! has named the memory until just before `Sink::landed` is called, and lives in the link: so it
//! never outlasts the promise that [`Destination::new`] carries. No slice is ever formed over that
//! memory, because others may look at it meanwhile.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::link::{Destination, Error, Span};

/// Bulk that is being written. Not cloneable: `finish` ends the right to write.
#[derive(Debug)]
pub(crate) struct Landing {
    span: Span,
    destination: Destination,
    done: usize,
}

impl Landing {
    /// Pairs a span with the memory that the sink gave for it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the memory has not exactly the span's length: a mistake of the sink,
    /// which must not become a write past its end.
    pub(crate) fn new(span: Span, destination: Destination) -> Result<Self, Error> {
        if u64::try_from(destination.len()) != Ok(span.len) {
            return Err(Error::closed(format!(
                "this end gave {} bytes of memory for a span of {}",
                destination.len(),
                span.len
            )));
        }
        Ok(Self {
            span,
            destination,
            done: 0,
        })
    }

    /// Bytes still to come.
    pub(crate) fn missing(&self) -> usize {
        self.destination.len() - self.done
    }

    /// Takes as much of `bytes` as is missing; returns how much that was.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.missing());
        // SAFETY: `done + len` is at most the destination's length, which whoever made it promised
        // to be valid for writes until `Sink::landed`, not yet called while `self` exists. `bytes`
        // is a live slice of the link's own buffer, so the two do not overlap.
        unsafe {
            let target = self.destination.address().add(self.done);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, len);
        }
        self.done += len;
        len
    }

    /// Receives from `socket` without blocking: what is missing first, what follows into `rest`.
    /// Returns the number of bytes that lie in `rest` and whether the call was filled wholly.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        rest: &mut [u8],
    ) -> Result<Received, Errno> {
        let missing = self.missing();
        // SAFETY: `done` is at most the destination's length, so the pointer stays inside or one
        // past the end of that memory.
        let target = unsafe { self.destination.address().add(self.done) };
        let mut parts = [
            libc::iovec {
                iov_base: target.cast(),
                iov_len: missing,
            },
            libc::iovec {
                iov_base: rest.as_mut_ptr().cast(),
                iov_len: rest.len(),
            },
        ];
        // SAFETY: a msghdr is plain data of which all zeros is a value: no name, no control data.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = parts.as_mut_ptr();
        header.msg_iovlen = parts.len() as _;
        // SAFETY: the first part is `missing` bytes valid for writes by the destination's promise,
        // the second is exclusively borrowed; `parts` and `header` outlive the call.
        let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, FLAGS) };
        let len = usize::try_from(result).map_err(|_| Errno::last())?;
        let landed = len.min(missing);
        self.done += landed;
        Ok(Received {
            len,
            rest: len - landed,
            filled: len == missing + rest.len(),
        })
    }

    /// Ends the right to write and names what has landed; to be called once nothing is missing.
    pub(crate) fn finish(self) -> Span {
        debug_assert_eq!(self.missing(), 0, "bulk reported before it was whole");
        self.span
    }
}

/// Outcome of one receive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// Bytes received; 0 is the end of the stream.
    pub(crate) len: usize,
    /// Of these, bytes that came after the bulk.
    pub(crate) rest: usize,
    /// Whether all the room was used, so that more may be waiting.
    pub(crate) filled: bool,
}

/// The socket may be shared with code that expects it to block, so the flag travels per call.
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_another_length_is_refused() {
        let mut memory = [0_u8; 4];
        // SAFETY: `memory` outlives the destination, and nothing else touches it.
        let destination = unsafe { Destination::new(memory.as_mut_ptr(), memory.len()) };
        for len in [0, 3, 5, u64::MAX] {
            let span = Span {
                region: 0,
                offset: 0,
                len,
            };
            assert!(
                matches!(Landing::new(span, destination), Err(Error::Closed(_))),
                "{len}"
            );
        }
    }

    #[test]
    fn copy_takes_no_more_than_is_missing() {
        let mut memory = [0_u8; 4];
        // SAFETY: `memory` outlives the landing, and nothing else touches it meanwhile.
        let destination = unsafe { Destination::new(memory.as_mut_ptr(), 3) };
        let span = Span {
            region: 1,
            offset: 2,
            len: 3,
        };
        let mut landing = Landing::new(span, destination).unwrap();
        assert_eq!(landing.copy(&[1, 2]), 2);
        assert_eq!(landing.copy(&[3, 4, 5]), 1);
        assert_eq!(landing.missing(), 0);
        assert_eq!(landing.finish(), span);
        assert_eq!(memory, [1, 2, 3, 0]);
    }
}
