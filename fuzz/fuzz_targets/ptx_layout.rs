//! Parameter layouts from PTX text.
#![no_main]

use flexdirect_driver_abi::layout::{PARAMETERS_LEN_MAX, ptx_kernels};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for kernel in ptx_kernels(data) {
        assert!(kernel.total <= PARAMETERS_LEN_MAX);
        assert!(
            kernel
                .parameters
                .iter()
                .all(|one| one.offset + one.size <= kernel.total)
        );
    }
});
