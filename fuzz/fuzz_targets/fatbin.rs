//! Containers: entries, decompression and the choice of PTX.
#![no_main]

use flexdirect_driver_abi::image::{entries, select_ptx};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for entry in entries(data).into_iter().flatten().flatten() {
        let _ = entry.decode();
    }
    let _ = select_ptx(data, 80);
});
