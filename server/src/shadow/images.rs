//! Images of modules on their way in: pieces, by the client thread that loads them.

use std::collections::HashMap;

use flexdirect_wire::limits::{IMAGE_LEN_MAX, THREADS_MAX};

/// Images on their way in, by the client thread that loads them.
#[derive(Debug, Default)]
pub(crate) struct Images {
    by_thread: HashMap<u32, Vec<u8>>,
    len: usize,
}

impl Images {
    /// Appends a piece; `is_first` drops what the thread had sent before. False when all images
    /// together would be over [`IMAGE_LEN_MAX`], or those of over [`THREADS_MAX`] threads.
    pub(crate) fn append(&mut self, thread: u32, is_first: bool, piece: &[u8]) -> bool {
        if is_first {
            self.take(thread);
        }
        if self.len + piece.len() > IMAGE_LEN_MAX {
            return false;
        }
        // An empty image is none: nothing to keep.
        if piece.is_empty() {
            return true;
        }
        if self.by_thread.len() >= THREADS_MAX && !self.by_thread.contains_key(&thread) {
            return false;
        }
        self.len += piece.len();
        self.by_thread
            .entry(thread)
            .or_default()
            .extend_from_slice(piece);
        true
    }

    /// What a thread has sent.
    pub(crate) fn take(&mut self, thread: u32) -> Vec<u8> {
        let image = self.by_thread.remove(&thread).unwrap_or_default();
        self.len -= image.len();
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_its_pieces_in_order() {
        let mut images = Images::default();
        assert!(images.append(1, true, b"ab"));
        assert!(images.append(2, true, b"xy"));
        assert!(images.append(1, false, b"cd"));
        assert_eq!(images.take(1), b"abcd");
        assert!(images.append(2, true, b"z"), "a first piece starts over");
        assert_eq!(images.take(2), b"z");
        assert_eq!((images.take(2).len(), images.len), (0, 0));
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
