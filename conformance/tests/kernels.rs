//! Kernels that NVIDIA's compiler compiled, against references on the CPU: directly on softgpu, and
//! the same bytes under `flexdirect local`. `make kernels-matrix` varies architecture and options.

use std::collections::BTreeSet;
use std::fs;

use flexdirect_conformance::harness::{Ended, Outcome, PATIENCE, World, kernel, root};

/// Memory of the device; under `flexdirect local` a program gets half of it.
const DEVICE_MIB: u64 = 512;

/// Checks that nothing runs yet, because softgpu lacks something that they need.
const PENDING: &[&str] = &[];

/// One test for each file of kernels, and the list of all of them.
macro_rules! kernels { ($($name:ident)*) => {
    const TESTED: &[&str] = &[$(stringify!($name)),*];
    $(
        #[test]
        fn $name() {
            same_under_local(stringify!($name));
        }
    )*
} }

kernels! {
    async_copy
    bitonic
    block_reduce
    control_flow
    conv2d
    coop_groups
    device_calls
    gelu
    globals_params
    histogram
    int64_double
    layernorm
    local_array
    mandelbrot
    matmul_half
    matmul_tiled
    matmul_wmma
    nbody
    printf_assert
    rng_mc
    saxpy
    scan
    softmax
    spmv_csr
    stencil
    textures
    transpose
    vector_add
    warp_reduce
}

#[test]
fn every_kernel_has_its_test() {
    let folder = fs::read_dir(root().join("conformance/kernels")).expect("the kernels are there");
    let names = folder.map(|entry| entry.expect("it can be read").file_name());
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let checks: BTreeSet<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix("check_")?.strip_suffix(".cu"))
        .collect();
    let tested: BTreeSet<&str> = TESTED.iter().chain(PENDING).copied().collect();
    assert_eq!(checks, tested, "files of checks, and those with a test");
    assert_eq!(
        names.len(),
        2 * checks.len() + 1,
        "a file of kernels for each, and check.h"
    );
}

fn same_under_local(name: &str) {
    let expected = natively(name);
    let world = World::new(DEVICE_MIB);
    let child = world.local(&["-n", "1", "-p", "0.5"], &kernel(name), &[]);
    let found = child.finish(PATIENCE);
    assert!(
        found.ended == expected.ended && found.stdout == expected.stdout,
        "=== local: {found:?}\n=== native: {expected:?}"
    );
}

/// Runs a check on softgpu itself. Each of its lines is a kernel, with nothing wrong.
fn natively(name: &str) -> Outcome {
    let world = World::new(DEVICE_MIB / 2);
    let outcome = world.native(&kernel(name), &[]).finish(PATIENCE);
    assert_eq!(outcome.ended, Ended::Exited(0), "{name}: {outcome:?}");
    let text = outcome.text();
    assert!(!text.is_empty(), "{name} checked nothing");
    assert!(
        text.lines().all(|line| line.ends_with(" wrong=0")),
        "{name}: {text}"
    );
    outcome
}
