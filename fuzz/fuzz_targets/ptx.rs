//! Text that is to be PTX: parsed, linked, decoded by the software GPU, and run for a moment.
#![no_main]

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use softgpu_cuda::exec::{Extras, Kernel, Launch, Memory, Program, run};
use softgpu_cuda::ptx;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Ok(module) = ptx::parse(&text) else {
        return;
    };
    let Ok(program) = Program::link(&module) else {
        return;
    };
    for global in program.globals() {
        assert!(global.align.is_power_of_two());
    }
    let mut runs = 0;
    for name in program.kernel_names() {
        let parameters = program.parameters(name).expect("a kernel that is named");
        assert!(program.limits(name).is_some());
        if let Some(Ok(kernel)) = program.kernel(name) {
            assert_eq!(kernel.parameters(), parameters);
            if runs < RUNS_MAX && kernel.static_shared_bytes() <= SHARED_LEN_MAX {
                run_briefly(&kernel);
                runs += 1;
            }
        }
    }
});

/// Runs one warp on a small arena, which all parameters point into. Any end is well but a panic
/// or one that does not come.
fn run_briefly(kernel: &Kernel) {
    static ARENA: OnceLock<usize> = OnceLock::new();
    let words = ARENA_LEN / size_of::<u64>();
    let base = *ARENA.get_or_init(|| vec![0u64; words].leak().as_mut_ptr().expose_provenance());
    let start = std::ptr::with_exposed_provenance_mut::<u8>(base);
    // SAFETY: leaked, so it is there for good; only the launch touches it while it runs.
    let memory = unsafe { Memory::new(start, ARENA_LEN) };
    let address = (base + ARENA_LEN / 2) as u64;
    let mut parameters = address
        .to_le_bytes()
        .repeat(kernel.parameter_bytes() as usize / 8 + 1);
    parameters.truncate(kernel.parameter_bytes() as usize);
    let cancel = AtomicBool::new(false);
    let start = Instant::now();
    let launch = Launch {
        kernel,
        grid: [1; 3],
        block: kernel.required_block().unwrap_or([32, 1, 1]),
        dynamic_shared_bytes: 64,
        parameters: &parameters,
        memory,
        globals: &|_| Some(address),
        workers: 1,
        cancel: &cancel,
        print: &|_| {},
        cooperative_workspace: None,
        extras: Extras {
            deadline: Some(start + Duration::from_millis(20)),
            ..Extras::default()
        },
    };
    let _ = run(&launch);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the deadline did not end it"
    );
}

const RUNS_MAX: usize = 4;
const ARENA_LEN: usize = 64 << 10;
const SHARED_LEN_MAX: u32 = 48 << 10;
