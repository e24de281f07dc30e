//! Images of modules on their way in: pieces, by the client thread that loads them.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flexdirect_wire::CuError;
use flexdirect_wire::limits::{IMAGE_LEN_MAX, THREADS_MAX};

/// Images on their way in, by the client thread that loads them.
#[derive(Debug, Default)]
pub(crate) struct Images {
    by_thread: HashMap<u32, Taken>,
    /// Bytes of all, those that were taken and are in use among them.
    len: Arc<AtomicUsize>,
}

/// What a thread has sent. It counts until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    bytes: Vec<u8>,
    held: Held,
    /// There was no room for all of it, and none of it is here.
    is_over: bool,
}

/// Bytes that count among those of all images.
#[derive(Debug, Default)]
pub(crate) struct Held {
    len: usize,
    total: Arc<AtomicUsize>,
}

impl Images {
    /// Appends a piece; `is_first` drops what the thread had sent before. An image with which all
    /// together would be over [`IMAGE_LEN_MAX`] is not kept, and taking it fails. False for images
    /// of over [`THREADS_MAX`] threads.
    pub(crate) fn append(&mut self, thread: u32, is_first: bool, piece: &[u8]) -> bool {
        if is_first {
            self.by_thread.remove(&thread);
        }
        // An empty image is none: nothing to keep.
        if piece.is_empty() {
            return true;
        }
        if self.by_thread.len() >= THREADS_MAX && !self.by_thread.contains_key(&thread) {
            return false;
        }
        let image = self.by_thread.entry(thread).or_insert_with(|| Taken {
            held: Held {
                len: 0,
                total: Arc::clone(&self.len),
            },
            ..Taken::default()
        });
        // Whoever appends has the session's lock; others only take away.
        if self.len.load(Ordering::Relaxed) + piece.len() > IMAGE_LEN_MAX {
            *image = Taken {
                is_over: true,
                ..Taken::default()
            };
        }
        if !image.is_over {
            self.len.fetch_add(piece.len(), Ordering::Relaxed);
            image.held.len += piece.len();
            image.bytes.extend_from_slice(piece);
        }
        true
    }

    /// What a thread has sent.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` if there was no room for all of it.
    pub(crate) fn take(&mut self, thread: u32) -> Result<Taken, CuError> {
        let taken = self.by_thread.remove(&thread).unwrap_or_default();
        if taken.is_over {
            return Err(CuError::OUT_OF_MEMORY);
        }
        Ok(taken)
    }
}

impl Taken {
    /// The bytes, and what is to be kept for as long as they are.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Held) {
        (self.bytes, self.held)
    }
}

impl Deref for Taken {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.len, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(images: &Images) -> usize {
        images.len.load(Ordering::Relaxed)
    }

    #[test]
    fn an_image_is_its_pieces_in_order() {
        let mut images = Images::default();
        assert!(images.append(1, true, b"ab"));
        assert!(images.append(2, true, b"xy"));
        assert!(images.append(1, false, b"cd"));
        let taken = images.take(1).unwrap();
        assert_eq!(&*taken, b"abcd");
        assert_eq!(total(&images), 6, "what is in use counts");
        drop(taken);
        assert!(images.append(2, true, b"z"), "a first piece starts over");
        assert_eq!(&*images.take(2).unwrap(), b"z");
        assert_eq!((images.take(2).unwrap().len(), total(&images)), (0, 0));
    }

    #[test]
    fn an_image_without_room_fails_alone() {
        let mut images = Images::default();
        let room = IMAGE_LEN_MAX - 1;
        images.len.store(room, Ordering::Relaxed);
        assert!(images.append(1, true, b"ab") && images.append(1, false, b"c"));
        assert!(images.append(2, true, b"x"), "what fits is kept");
        assert_eq!(images.take(1).unwrap_err(), CuError::OUT_OF_MEMORY);
        assert_eq!(&*images.take(2).unwrap(), b"x");
        assert_eq!(total(&images), room);
        assert!(
            images.append(1, true, b"y"),
            "and the next one has a chance"
        );
        assert_eq!(&*images.take(1).unwrap(), b"y");
    }

    #[test]
    fn threads_that_nobody_has_are_not_kept() {
        let mut images = Images::default();
        let threads_max = u32::try_from(THREADS_MAX).unwrap();
        for thread in 0..threads_max {
            assert!(images.append(thread, true, b"x"));
        }
        assert!(!images.append(threads_max, true, b"x"));
        assert!(images.append(0, true, b"y"), "a known thread goes on");
        for thread in 0..2 * threads_max {
            assert!(
                images.append(thread, true, b""),
                "and nothing takes no room"
            );
        }
        assert!(images.by_thread.is_empty());
    }
}
