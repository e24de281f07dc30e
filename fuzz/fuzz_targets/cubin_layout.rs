//! Parameter layouts from cubins.
#![no_main]

use flexdirect_driver_abi::layout::{PARAMETERS_LEN_MAX, cubin_kernels};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for kernel in cubin_kernels(data).into_iter().flatten() {
        assert!(kernel.total <= PARAMETERS_LEN_MAX);
        assert!(
            kernel
                .parameters
                .iter()
                .all(|one| one.offset + one.size <= kernel.total)
        );
    }
});
