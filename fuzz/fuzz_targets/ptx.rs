//! Text that is to be PTX: parsed, linked and decoded by the software GPU, but not run.
#![no_main]

use softgpu_cuda::exec::Program;
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
    for name in program.kernel_names() {
        let parameters = program.parameters(name).expect("a kernel that is named");
        assert!(program.limits(name).is_some());
        if let Some(Ok(kernel)) = program.kernel(name) {
            assert_eq!(kernel.parameters(), parameters);
        }
    }
});
