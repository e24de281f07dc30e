//! Runs a test in a process of its own with an environment of its own, for a driver reads its
//! environment once, and gives tests names for the few things that every one of them does.
#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::{CString, c_void};
use std::process::Command;

use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

/// Set in the process that runs the body of a test.
const CHILD: &str = "SOFTGPU_TEST_CHILD";

/// Runs `body` in a process of its own, under the test's name, with these variables.
pub(crate) fn alone(name: &str, variables: &[(&str, &str)], body: fn()) {
    if std::env::var_os(CHILD).is_some() {
        body();
        return;
    }
    said_alone(name, variables);
}

/// Runs the test of this name in a process of its own: what it wrote to its standard output.
pub(crate) fn said_alone(name: &str, variables: &[(&str, &str)]) -> String {
    let state = std::env::temp_dir().join(format!("softgpu-{name}-{}", std::process::id()));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .env_remove("CUDA_VISIBLE_DEVICES")
        .env("SOFTGPU_MEMORY", "64M")
        .env("SOFTGPU_SMS", "2")
        .env("SOFTGPU_STATE", &state)
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let _ = std::fs::remove_file(state.with_extension("health"));
    let _ = std::fs::remove_file(state);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{name}: {}\n{said}\n{complained}", output.status);
    said
}

/// What the driver was told to answer.
pub(crate) type Answer<T> = Result<T, CuError>;

/// Calls with an out pointer.
pub(crate) fn out<T: Default>(call: impl FnOnce(Out<T>) -> CuResult) -> Answer<T> {
    let mut value = T::default();
    call(Out(&raw mut value))?;
    Ok(value)
}

pub(crate) fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub(crate) fn name(text: &CString) -> InStr {
    InStr(text.as_ptr().cast_mut())
}

/// Initialises the driver and makes the primary context of device 0 current.
pub(crate) fn start() -> CuContext {
    cuInit(0).unwrap();
    let context = out(|context| cuDevicePrimaryCtxRetain(context, CuDevice(0))).unwrap();
    cuCtxSetCurrent(context).unwrap();
    context
}

pub(crate) fn allocate(len: usize) -> Answer<CuDevicePtr> {
    out(|pointer| cuMemAlloc_v2(pointer, len))
}

pub(crate) fn upload(target: CuDevicePtr, bytes: &[u8]) -> CuResult {
    cuMemcpyHtoD_v2(
        target,
        InBytes(bytes.as_ptr().cast_mut().cast()),
        bytes.len(),
    )
}

pub(crate) fn download(source: CuDevicePtr, len: usize) -> Answer<Vec<u8>> {
    let mut bytes = vec![0; len];
    cuMemcpyDtoH_v2(OutBytes(bytes.as_mut_ptr().cast()), source, len)?;
    Ok(bytes)
}

pub(crate) fn word(source: CuDevicePtr) -> Answer<u32> {
    let bytes = download(source, 4)?;
    Ok(u32::from_le_bytes(bytes.try_into().unwrap()))
}

pub(crate) fn load(ptx: &str) -> Answer<CuModule> {
    let ptx = text(ptx);
    out(|module| cuModuleLoadData(module, InBytes(ptx.as_ptr().cast_mut().cast())))
}

pub(crate) fn function(module: CuModule, kernel: &str) -> Answer<CuFunction> {
    let kernel = text(kernel);
    out(|function| cuModuleGetFunction(function, module, name(&kernel)))
}

/// Launches one block of one thread; each parameter has 8 bytes, of which the kernel takes as many
/// as it declares.
pub(crate) fn launch(function: CuFunction, stream: CuStream, parameters: &[u64]) -> CuResult {
    launch_shape(function, [1, 1, 1], [1, 1, 1], 0, stream, parameters)
}

pub(crate) fn launch_shape(
    function: CuFunction,
    grid: [u32; 3],
    block: [u32; 3],
    shared_len: u32,
    stream: CuStream,
    parameters: &[u64],
) -> CuResult {
    let mut values = parameters.to_vec();
    let mut pointers: Vec<*mut c_void> = values
        .iter_mut()
        .map(|value| (&raw mut *value).cast())
        .collect();
    let [gx, gy, gz] = grid;
    let [bx, by, bz] = block;
    let pointers = pointers.as_mut_ptr();
    let none = std::ptr::null_mut();
    cuLaunchKernel(
        function, gx, gy, gz, bx, by, bz, shared_len, stream, pointers, none,
    )
}

/// `wait_gate` spins until a word is not 0, so a test decides when a stream goes on; `set` and
/// `add` change a word; `wild` reads address 16.
pub(crate) const PTX: &str = "
.version 7.0
.target sm_80
.address_size 64
.visible .global .align 8 .u64 answer = 42;
.visible .const .align 4 .u32 table[3] = {1, 2, 3};
.visible .global .align 8 .u64 where_answer = answer;
.visible .entry wait_gate(.param .u64 gate)
{
    .reg .u64 %rd<2>; .reg .u32 %r<2>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [gate];
again:
    ld.volatile.global.u32 %r1, [%rd1];
    setp.eq.u32 %p1, %r1, 0;
    @%p1 bra again;
    ret;
}
.visible .entry set(.param .u64 place, .param .u32 value)
{
    .reg .u64 %rd<2>; .reg .u32 %r<2>;
    ld.param.u64 %rd1, [place];
    ld.param.u32 %r1, [value];
    st.global.u32 [%rd1], %r1;
    ret;
}
.visible .entry add(.param .u64 place, .param .u32 value)
{
    .reg .u64 %rd<2>; .reg .u32 %r<3>;
    ld.param.u64 %rd1, [place];
    ld.param.u32 %r1, [value];
    atom.global.add.u32 %r2, [%rd1], %r1;
    ret;
}
.visible .entry wild()
{
    .reg .u64 %rd<2>; .reg .u32 %r<2>;
    mov.u64 %rd1, 16;
    ld.global.u32 %r1, [%rd1];
    st.global.u32 [%rd1], %r1;
    ret;
}
.visible .entry forever()
{
again:
    bra again;
}
.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 values);
.global .align 1 .b8 hello[7] = {104, 101, 108, 108, 111, 10, 0};
.visible .entry say()
{
    .reg .u64 %rd<2>;
    mov.u64 %rd1, hello;
    cvta.global.u64 %rd1, %rd1;
    {
    .param .b64 format;
    st.param.b64 [format], %rd1;
    .param .b64 values;
    st.param.b64 [values], 0;
    .param .b32 result;
    call.uni (result), vprintf, (format, values);
    }
    ret;
}
.visible .entry bounded(.param .u8 small, .param .align 8 .b8 large[24], .param .f64 last)
.maxntid 128, 1, 1
{
    .shared .align 4 .b8 room[1000];
    ret;
}
";

/// A word of device memory that holds up streams until it is opened.
pub(crate) struct Gate {
    word: CuDevicePtr,
    wait: CuFunction,
    opener: CuStream,
}

impl Gate {
    pub(crate) fn new(module: CuModule) -> Self {
        let word = allocate(4).unwrap();
        upload(word, &[0; 4]).unwrap();
        Self {
            word,
            wait: function(module, "wait_gate").unwrap(),
            opener: out(|stream| cuStreamCreate(stream, 1)).unwrap(),
        }
    }

    /// Holds a stream up.
    pub(crate) fn hold(&self, stream: CuStream) {
        launch(self.wait, stream, &[self.word.0]).unwrap();
    }

    /// Lets go, past all other streams.
    pub(crate) fn open(&self) {
        cuMemsetD32Async(self.word, 1, 1, self.opener).unwrap();
    }
}
