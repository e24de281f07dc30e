//! Links at run time, what modules and libraries say of their kernels, block sizes, old launches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::redundant_closure, reason = "a C function is no closure")]

mod driver_support;

use std::ffi::{CStr, c_char, c_void};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: CuResult = Err(CuError::INVALID_VALUE);

/// Stores what `twice`, of another text, makes of 21, and the variable `base` of that text.
const CALLER: &str = "
.version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b32 result) twice(.param .b32 value);
.extern .global .align 4 .u32 base;
.global .align 4 .u32 own = 1;
.visible .entry caller(.param .u64 place)
{
    .reg .u64 %rd<2>; .reg .u32 %r<5>;
    ld.param.u64 %rd1, [place];
    {
    .param .b32 value;
    st.param.b32 [value], 21;
    .param .b32 result;
    call.uni (result), twice, (value);
    ld.param.b32 %r1, [result];
    }
    ld.global.u32 %r2, [base];
    ld.global.u32 %r3, [own];
    add.u32 %r1, %r1, %r2;
    add.u32 %r1, %r1, %r3;
    st.global.u32 [%rd1], %r1;
    ret;
}
";
const CALLED: &str = "
.version 8.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 base = 1000;
.global .align 4 .u32 own = 7;
.visible .func (.param .b32 result) twice(.param .b32 value)
{
    .reg .u32 %r<2>;
    ld.param.u32 %r1, [value];
    add.u32 %r1, %r1, %r1;
    st.param.b32 [result], %r1;
    ret;
}
";

/// A link and the buffers of its logs.
struct Linker {
    state: CuLinkState,
    log: Box<[c_char; 512]>,
    values: Box<[*mut c_void; 2]>,
}

impl Linker {
    fn new() -> Self {
        let mut log = Box::new([1 as c_char; 512]);
        let room = std::ptr::without_provenance_mut(512);
        let mut values: Box<[*mut c_void; 2]> = Box::new([log.as_mut_ptr().cast(), room]);
        let mut options = [CuJitOption(5), CuJitOption(6)];
        let options = Out(options.as_mut_ptr());
        let state = out(|state| cuLinkCreate_v2(2, options, values.as_mut_ptr(), state)).unwrap();
        Self { state, log, values }
    }

    fn add(&self, kind: u32, bytes: &[u8]) -> CuResult {
        let name = text("input");
        let (options, values) = (std::ptr::null_mut(), std::ptr::null_mut());
        let data = bytes.as_ptr().cast_mut().cast();
        let kind = CuJitInputType(kind);
        cuLinkAddData_v2(
            self.state,
            kind,
            data,
            bytes.len(),
            name.as_ptr(),
            0,
            options,
            values,
        )
    }

    fn complete(&self) -> Answer<(*mut c_void, usize)> {
        let mut len = 0usize;
        let size = OptOut(&raw mut len);
        let mut image = std::ptr::null_mut();
        cuLinkComplete(self.state, Out(&raw mut image), size)?;
        Ok((image, len))
    }

    fn said(&self) -> String {
        let bytes: Vec<u8> = self.log.iter().map(|&byte| byte.cast_unsigned()).collect();
        let said = CStr::from_bytes_until_nul(&bytes)
            .unwrap()
            .to_str()
            .unwrap();
        assert_eq!(self.values[1].addr(), said.len(), "the length of the log");
        said.to_owned()
    }
}

fn run_caller(module: CuModule) -> u32 {
    let place = allocate(4).unwrap();
    let caller = function(module, "caller").unwrap();
    launch(caller, CuStream(0), &[place.0, 21]).unwrap();
    word(place).unwrap()
}

fn load_image(image: *mut c_void) -> Answer<CuModule> {
    out(|module| cuModuleLoadData(module, InBytes(image)))
}

#[test]
fn texts_are_linked_and_loaded() {
    alone("texts_are_linked_and_loaded", &[], || {
        start();
        let linker = Linker::new();
        linker.add(PTX_TEXT, CALLER.as_bytes()).unwrap();
        linker.add(PTX_TEXT, CALLED.as_bytes()).unwrap();
        let (image, len) = linker.complete().unwrap();
        assert_eq!(linker.said(), "");
        assert_eq!(
            linker.complete().map(|again| again.1),
            Ok(len),
            "asked again"
        );
        assert_eq!(run_caller(load_image(image).unwrap()), 42 + 1000 + 1);
        // A copy of it is an image, too, also as an input to another link.
        let again = Linker::new();
        let bytes: Vec<u8> = linker_bytes(image, len);
        again.add(CUBIN, &bytes).unwrap();
        assert_eq!(linker.add(PTX_TEXT, CALLED.as_bytes()), BAD, "complete");
        cuLinkDestroy(linker.state).unwrap();
        assert_eq!(cuLinkDestroy(linker.state), Err(CuError::INVALID_HANDLE));
        let (image, _) = again.complete().unwrap();
        assert_eq!(run_caller(load_image(image).unwrap()), 42 + 1000 + 1);
    });
}

/// The bytes of an image, by way of device memory: the test has no unsafe code.
fn linker_bytes(image: *mut c_void, len: usize) -> Vec<u8> {
    let memory = allocate(len).unwrap();
    cuMemcpyHtoD_v2(memory, InBytes(image), len).unwrap();
    download(memory, len).unwrap()
}

#[test]
fn what_cannot_be_linked_is_explained() {
    alone("what_cannot_be_linked_is_explained", &[], || {
        start();
        let linker = Linker::new();
        assert_eq!(linker.complete().map(drop), BAD, "nothing to link");
        linker.add(PTX_TEXT, CALLER.as_bytes()).unwrap();
        assert_eq!(linker.complete().map(drop), Err(CuError::INVALID_IMAGE));
        let said = linker.said();
        assert!(
            said.contains("'twice'") && said.contains("'base'"),
            "{said}"
        );
        assert_eq!(
            linker.add(PTX_TEXT, b".version 8.0\n\nno"),
            Err(CuError::INVALID_PTX)
        );
        assert!(linker.said().contains("line 3"), "{}", linker.said());
        linker.add(PTX_TEXT, CALLED.as_bytes()).unwrap();
        linker.add(PTX_TEXT, CALLED.as_bytes()).unwrap();
        assert_eq!(linker.complete().map(drop), Err(CuError::INVALID_IMAGE));
        assert!(linker.said().contains("defined twice"), "{}", linker.said());
        let cubin = include_bytes!("../../driver-abi/tests/fixtures/awkward_80.cubin");
        assert_eq!(linker.add(CUBIN, cubin), Err(CuError::NO_BINARY_FOR_GPU));
        assert_eq!(linker.add(FATBINARY, b"junk"), Err(CuError::INVALID_IMAGE));
        assert_eq!(linker.add(LIBRARY, b"junk"), Err(CuError::INVALID_IMAGE));
        assert_eq!(linker.add(9, b"junk"), BAD);
        let missing = text("/nonexistent/file.ptx");
        let (options, values) = (std::ptr::null_mut(), std::ptr::null_mut());
        let kind = CuJitInputType(PTX_TEXT);
        let file = cuLinkAddFile_v2(linker.state, kind, name(&missing), 0, options, values);
        assert_eq!(file, Err(CuError::FILE_NOT_FOUND));
    });
}

#[test]
fn objects_and_libraries_of_the_compiler_are_inputs() {
    alone(
        "objects_and_libraries_of_the_compiler_are_inputs",
        &[],
        || {
            start();
            let object = include_bytes!("../../driver-abi/tests/fixtures/object_a.o");
            let library = include_bytes!("../../driver-abi/tests/fixtures/libobject_b.a");
            let container = include_bytes!("../../driver-abi/tests/fixtures/object_b.fatbin");
            let linker = Linker::new();
            linker.add(OBJECT, object).unwrap();
            assert_eq!(linker.complete().map(drop), Err(CuError::INVALID_IMAGE));
            linker.add(LIBRARY, library).unwrap();
            // A second one is not needed and not taken in, or symbols were defined twice.
            linker.add(LIBRARY, library).unwrap();
            let (image, _) = linker.complete().unwrap();
            assert_eq!(run_caller(load_image(image).unwrap()), 42);
            let linker = Linker::new();
            linker.add(FATBINARY, container).unwrap();
            linker.add(OBJECT, object).unwrap();
            let (image, _) = linker.complete().unwrap();
            assert_eq!(run_caller(load_image(image).unwrap()), 42);
        },
    );
}

/// Three times: every thread of the grid counts, all wait, and each looks whether all have counted.
/// Each stores its number where that says, and how many threads there are at the end.
const GRID: &str = "
.version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b64 r) __cuda_syscall_CGS_get_intrinsic_handle(.param .b32 a);
.extern .func (.param .b32 r) __cuda_syscall_CGS_sync(.param .b64 a, .param .b32 b);
.extern .func (.param .b32 r) __cuda_syscall_CGS_get_size(
    .param .b64 a, .param .b64 b, .param .b64 c);
.extern .func (.param .b32 r) __cuda_syscall_CGS_get_rank(
    .param .b64 a, .param .b64 b, .param .b64 c);
.visible .entry together(.param .u64 counts)
{
    .local .align 4 .b8 place[8];
    .reg .u64 %rd<9>; .reg .u32 %r<9>; .reg .pred %p<3>;
    ld.param.u64 %rd1, [counts];
    call (%rd2), __cuda_syscall_CGS_get_intrinsic_handle, (1);
    mov.u64 %rd3, place;
    cvta.local.u64 %rd3, %rd3;
    add.u64 %rd4, %rd3, 4;
    call (%r1), __cuda_syscall_CGS_get_size, (%rd3, 0, %rd2);
    ld.local.u32 %r2, [place];
    mov.u32 %r3, 0;
    mov.u32 %r4, 0;
again:
    atom.global.add.u32 %r5, [%rd1], 1;
    add.u32 %r3, %r3, %r2;
    call (%r1), __cuda_syscall_CGS_sync, (%rd2, 0);
    ld.volatile.global.u32 %r6, [%rd1];
    setp.lt.u32 %p1, %r6, %r3;
    @%p1 trap;
    add.u32 %r4, %r4, 1;
    setp.lt.u32 %p2, %r4, 3;
    @%p2 bra again;
    call (%r1), __cuda_syscall_CGS_get_rank, (%rd3, %rd4, %rd2);
    ld.local.u32 %r7, [place];
    ld.local.u32 %r8, [place+4];
    mul.wide.u32 %rd5, %r7, 4;
    add.u64 %rd5, %rd1, %rd5;
    add.u32 %r7, %r7, %r8;
    st.global.u32 [%rd5+4], %r7;
    ret;
}
";

#[test]
fn grids_synchronise_through_the_functions_that_the_driver_brings() {
    let name = "grids_synchronise_through_the_functions_that_the_driver_brings";
    alone(name, &[], || {
        start();
        let linker = Linker::new();
        linker.add(PTX_TEXT, GRID.as_bytes()).unwrap();
        let (image, _) = linker.complete().unwrap();
        let together = function(load_image(image).unwrap(), "together").unwrap();
        let counts = allocate(4 * (1 + 4 * 48)).unwrap();
        cuMemsetD32_v2(counts, 0, 1 + 4 * 48).unwrap();
        let mut parameter = counts.0;
        let mut pointers: [*mut c_void; 1] = [(&raw mut parameter).cast()];
        let (stream, pointers) = (CuStream(0), pointers.as_mut_ptr());
        cuLaunchCooperativeKernel(together, 2, 2, 1, 16, 3, 1, 0, stream, pointers).unwrap();
        cuCtxSynchronize().unwrap();
        let at = |index: u64| word(CuDevicePtr(counts.0 + 4 * index)).unwrap();
        assert_eq!(at(0), 3 * 4 * 48);
        for rank in 0..4 * 48 {
            assert_eq!(u64::from(at(1 + rank)), rank);
        }
    });
}

#[test]
fn kernels_are_listed_and_loaded_when_used() {
    alone("kernels_are_listed_and_loaded_when_used", &[], || {
        start();
        assert_eq!(
            out(|mode| cuModuleGetLoadingMode(mode)),
            Ok(CuModuleLoadingMode(2))
        );
        let module = load(PTX).unwrap();
        let mut functions = [CuFunction(0); 3];
        cuModuleEnumerateFunctions(functions.as_mut_ptr(), 3, module).unwrap();
        let loaded = |function| out(|state| cuFuncIsLoaded(state, function)).unwrap();
        assert_eq!(loaded(functions[1]), CuFunctionLoadingState(0));
        assert_eq!(function(module, "set"), Ok(functions[1]));
        assert_eq!(loaded(functions[1]), CuFunctionLoadingState(1));
        assert_eq!(loaded(functions[2]), CuFunctionLoadingState(0));
        cuFuncLoad(functions[2]).unwrap();
        assert_eq!(loaded(functions[2]), CuFunctionLoadingState(1));
        let none = std::ptr::null_mut();
        assert_eq!(cuModuleEnumerateFunctions(none, 3, module), BAD);

        let library = library(PTX);
        let mut kernels = [CuKernel(0); 20];
        cuLibraryEnumerateKernels(kernels.as_mut_ptr(), 20, library).unwrap();
        let count = out(|count| cuLibraryGetKernelCount(count, library)).unwrap() as usize;
        assert!(kernels[..count].iter().all(|kernel| kernel.0 != 0));
        assert!(kernels[count..].iter().all(|kernel| kernel.0 == 0));
        assert_eq!(out(|of| cuKernelGetLibrary(of, kernels[1])), Ok(library));
        let of_module = out(|of| cuKernelGetLibrary(of, CuKernel(functions[1].0)));
        assert_eq!(of_module, Err(CuError::INVALID_HANDLE));
        let mut found = std::ptr::null_mut();
        let set = text("set");
        let unified = cuLibraryGetUnifiedFunction(Out(&raw mut found), library, name(&set));
        assert_eq!(unified, Err(CuError::NOT_FOUND));
        let own = out(|own| cuKernelGetFunction(own, kernels[1])).unwrap();
        let place = allocate(4).unwrap();
        launch(own, CuStream(0), &[place.0, 5]).unwrap();
        assert_eq!(word(place), Ok(5));
    });
}

fn library(ptx: &str) -> CuLibrary {
    let ptx = text(ptx);
    let (none, nothing) = (std::ptr::null_mut(), std::ptr::null_mut());
    let library = out(|library| {
        let code = InBytes(ptx.as_ptr().cast_mut().cast());
        let (options, own) = (Out(std::ptr::null_mut()), Out(std::ptr::null_mut()));
        cuLibraryLoadData(library, code, options, none, 0, own, nothing, 0)
    });
    library.unwrap()
}

#[test]
fn eager_loading_decodes_at_once() {
    let variables = [("CUDA_MODULE_LOADING", "EAGER")];
    alone("eager_loading_decodes_at_once", &variables, || {
        start();
        assert_eq!(
            out(|mode| cuModuleGetLoadingMode(mode)),
            Ok(CuModuleLoadingMode(1))
        );
        let strange = ".visible .entry strange()\n{\n    no.such.instruction;\n    ret;\n}\n";
        let module = load(&format!("{PTX}{strange}")).unwrap();
        let mut functions = [CuFunction(0); 2];
        cuModuleEnumerateFunctions(functions.as_mut_ptr(), 2, module).unwrap();
        let loaded = out(|state| cuFuncIsLoaded(state, functions[1]));
        assert_eq!(loaded, Ok(CuFunctionLoadingState(1)));
        let strange = function(module, "strange").unwrap();
        assert_eq!(cuFuncLoad(strange), Err(CuError::INVALID_PTX));
    });
}

#[test]
fn the_best_block_is_found() {
    alone("the_best_block_is_found", &[], || {
        extern "C" fn by_block(threads: i32) -> usize {
            // 164 KiB hold two blocks of 256 threads and none of any other size.
            if threads == 256 { 60 << 10 } else { 200 << 10 }
        }
        start();
        let module = load(PTX).unwrap();
        let best = |kernel, callback: usize, dynamic, limit| {
            let kernel = function(module, kernel).unwrap();
            let callback = CuOccupancyB2DSize(callback);
            let (mut grid, mut block) = (0, 0);
            let outs = (Out(&raw mut grid), Out(&raw mut block));
            cuOccupancyMaxPotentialBlockSizeWithFlags(
                outs.0, outs.1, kernel, callback, dynamic, limit, 0,
            )
            .map(|()| (grid, block))
        };
        assert_eq!(best("set", 0, 0, 0), Ok((4, 1024)), "2 blocks on each of 2");
        assert_eq!(best("set", 0, 0, 500), Ok((16, 256)), "not 4 of 500");
        assert_eq!(best("bounded", 0, 0, 0), Ok((32, 128)), "launch bounds");
        assert_eq!(best("set", 0, 100 << 10, 0), Ok((2, 1024)), "shared memory");
        let callback = by_block as *const () as usize;
        assert_eq!(best("set", callback, 0, 0), Ok((4, 256)));
        assert_eq!(best("set", 0, 0, -1), Err(CuError::INVALID_VALUE));
    });
}

#[test]
fn launches_of_the_first_versions_work() {
    alone("launches_of_the_first_versions_work", &[], || {
        start();
        let module = load(PTX).unwrap();
        let add = function(module, "add").unwrap();
        let place = allocate(4).unwrap();
        upload(place, &[0; 4]).unwrap();
        let mut address = place.0;
        cuFuncSetBlockShape(add, 2, 3, 1).unwrap();
        cuFuncSetSharedSize(add, 16).unwrap();
        cuParamSetv(add, 0, (&raw mut address).cast(), 8).unwrap();
        cuParamSeti(add, 8, 5).unwrap();
        cuParamSetSize(add, 12).unwrap();
        cuLaunchGrid(add, 2, 2).unwrap();
        assert_eq!(word(place), Ok(6 * 4 * 5));
        cuParamSetf(add, 8, 0.0).unwrap();
        cuLaunch(add).unwrap();
        assert_eq!(word(place), Ok(6 * 4 * 5));
        assert_eq!(cuFuncSetBlockShape(add, 0, 1, 1), BAD);
        assert_eq!(cuParamSeti(add, -4, 1), BAD);
        assert_eq!(cuParamSetSize(add, 1 << 20), BAD);
        cuParamSetSize(add, 4).unwrap();
        assert_eq!(cuLaunch(add), BAD, "too few bytes of parameters");
    });
}

const CUBIN: u32 = 0;
const PTX_TEXT: u32 = 1;
const FATBINARY: u32 = 2;
const OBJECT: u32 = 3;
const LIBRARY: u32 = 4;
