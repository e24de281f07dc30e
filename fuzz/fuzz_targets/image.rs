//! An image as a peer sends it, and everything done with it.
#![no_main]

use flexdirect_driver_abi::image::{Image, describe};
use flexdirect_driver_abi::layout::kernels;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The first byte chooses the kind, so that the head need not be guessed.
    let Some((&kind, payload)) = data.split_first() else {
        return;
    };
    let head = [b'F', b'D', b'I', b'M', kind % 5, 0, 0, 0];
    let Ok(image) = Image::from_bytes([&head, payload].concat()) else {
        return;
    };
    assert!(!describe(&image).is_empty());
    let _ = kernels(&image, 80);
    let _ = image.ptx(80);
});
