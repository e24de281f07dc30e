//! Images as a compiler makes them: compressed in each way it knows, and with machine code alone.

use flexdirect_conformance::harness::{
    Child, Ended, Library, Outcome, PATIENCE, World, library, program,
};

/// Memory of the device in MiB.
const DEVICE_MIB: u64 = 256;

fn run(name: &str) -> Outcome {
    let world = World::new(DEVICE_MIB);
    let driver = library(Library::Softgpu);
    let mut command = world.command(program(name));
    command
        .env("LD_LIBRARY_PATH", driver.parent().expect("it has a folder"))
        .env("SOFTGPU_LOG", "1");
    Child::start(command).finish(PATIENCE)
}

#[test]
fn every_compression_is_read() {
    let expected = run("saxpy");
    assert_eq!(expected.ended, Ended::Exited(0), "{expected:?}");
    for mode in ["size", "speed", "balance", "none"] {
        let outcome = run(&format!("saxpy-{mode}"));
        assert_eq!(outcome.ended, Ended::Exited(0), "{mode}: {outcome:?}");
        assert_eq!(outcome.text(), expected.text(), "{mode}");
    }
    // Else nothing was compressed, and nothing tested.
    let has_text = |name: &str| {
        let bytes = std::fs::read(program(name)).expect("it can be read");
        bytes.windows(14).any(|window| window == b".visible .entr")
    };
    assert!(has_text("saxpy-none") && !has_text("saxpy-size"));
}

#[test]
fn machine_code_alone_is_refused_with_what_was_in_the_image() {
    let outcome = run("saxpy-sass");
    assert!(
        matches!(outcome.ended, Ended::Exited(code) if code != 0),
        "{outcome:?}"
    );
    let said = String::from_utf8_lossy(&outcome.stderr).into_owned() + &outcome.text();
    let line = "image refused with CUDA_ERROR_NO_BINARY_FOR_GPU(209): no PTX in fatbin of";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("with cubin sm_80"), "{said}");
    assert!(said.contains("cudaErrorNoKernelImageForDevice"), "{said}");
}
