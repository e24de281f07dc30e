//! Modules, libraries, functions, launches, and what a fault does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod driver_support;

use std::ffi::{CStr, c_char, c_void};

use driver_support::*;
use flexdirect_wire::abi::*;
use softgpu_cuda::export::*;

const BAD: CuResult = Err(CuError::INVALID_VALUE);

fn global(module: CuModule, variable: &str) -> Answer<(CuDevicePtr, usize)> {
    let variable = text(variable);
    let mut len = 0;
    let address =
        out(|address| cuModuleGetGlobal_v2(address, Out(&raw mut len), module, name(&variable)))?;
    Ok((address, len))
}

fn library(ptx: &str) -> Answer<CuLibrary> {
    let ptx = text(ptx);
    let (none, nothing) = (std::ptr::null_mut(), std::ptr::null_mut());
    out(|library| {
        let code = InBytes(ptx.as_ptr().cast_mut().cast());
        let (options, own) = (Out(std::ptr::null_mut()), Out(std::ptr::null_mut()));
        cuLibraryLoadData(library, code, options, none, 0, own, nothing, 0)
    })
}

#[test]
fn variables_are_placed_and_filled() {
    alone("variables_are_placed_and_filled", &[], || {
        start();
        let module = load(PTX).unwrap();
        let (answer, len) = global(module, "answer").unwrap();
        assert_eq!(len, 8);
        assert_eq!(download(answer, 8).unwrap(), 42u64.to_le_bytes());
        let (table, len) = global(module, "table").unwrap();
        assert_eq!((len, word(CuDevicePtr(table.0 + 8))), (12, Ok(3)));
        let (pointer, _) = global(module, "where_answer").unwrap();
        assert_eq!(download(pointer, 8).unwrap(), answer.0.to_le_bytes());
        assert_eq!(global(module, "nothing"), Err(CuError::NOT_FOUND));
        assert_eq!(cuMemFree_v2(answer), BAD, "not the application's to free");
        let other = load(PTX).unwrap();
        assert_ne!(
            global(other, "answer").unwrap().0,
            answer,
            "each module has its own"
        );
        cuModuleUnload(module).unwrap();
        assert_eq!(global(module, "answer"), Err(CuError::INVALID_HANDLE));
        assert_eq!(download(answer, 8).map(drop), BAD);
    });
}

#[test]
fn bad_images_are_refused() {
    alone("bad_images_are_refused", &[], || {
        start();
        assert_eq!(
            load(".version 7.0\n.target sm_80\nnonsense"),
            Err(CuError::INVALID_PTX)
        );
        assert_eq!(load("#!garbage"), Err(CuError::INVALID_IMAGE));
        let null = InBytes(std::ptr::null_mut());
        let nothing = out(|module| cuModuleLoadData(module, null));
        assert_eq!(nothing, Err(CuError::INVALID_VALUE));
        let missing = text("/nonexistent/file.ptx");
        let file = out(|module| cuModuleLoad(module, name(&missing)));
        assert_eq!(file, Err(CuError::FILE_NOT_FOUND));
        assert_eq!(
            function(load(PTX).unwrap(), "missing"),
            Err(CuError::NOT_FOUND)
        );
    });
}

#[test]
fn a_refusal_is_explained_in_the_log() {
    alone("a_refusal_is_explained_in_the_log", &[], || {
        start();
        let mut log = [0 as c_char; 256];
        let mut options = [CuJitOption(5), CuJitOption(6)];
        let mut values: [*mut c_void; 2] = [
            log.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(256),
        ];
        let ptx = text(".version 7.0\n.target sm_80\nnonsense");
        let refused = out(|module| {
            let image = InBytes(ptx.as_ptr().cast_mut().cast());
            let options = Out(options.as_mut_ptr());
            cuModuleLoadDataEx(module, image, 2, options, values.as_mut_ptr())
        });
        assert_eq!(refused, Err(CuError::INVALID_PTX));
        let written: Vec<u8> = log.iter().map(|&byte| byte.cast_unsigned()).collect();
        let written = CStr::from_bytes_until_nul(&written)
            .unwrap()
            .to_str()
            .unwrap();
        assert!(written.contains("line 3"), "{written}");
        assert_eq!(values[1].addr(), written.len());
    });
}

#[test]
fn functions_say_what_they_are() {
    alone("functions_say_what_they_are", &[], || {
        start();
        let module = load(PTX).unwrap();
        let bounded = function(module, "bounded").unwrap();
        assert_eq!(
            function(module, "bounded"),
            Ok(bounded),
            "the same when asked again"
        );
        let attribute =
            |number| out(|value| cuFuncGetAttribute(value, CuFunctionAttribute(number), bounded));
        assert_eq!(attribute(0), Ok(128), "launch bounds");
        assert_eq!(attribute(1), Ok(1000), "static shared memory");
        assert_eq!(attribute(2), Ok(12), "constants");
        assert_eq!(attribute(8), Ok(48 * 1024 - 1000), "dynamic shared memory");
        assert_eq!(attribute(16), Err(CuError::INVALID_VALUE));
        // Host code chooses the shape of a launch by what the kernel was compiled for.
        let newer = load(&PTX.replace("sm_80", "sm_120a")).unwrap();
        let newer = function(newer, "bounded").unwrap();
        for (number, value) in [(5, 120), (6, 80)] {
            let number = CuFunctionAttribute(number);
            let found = out(|value| cuFuncGetAttribute(value, number, newer));
            assert_eq!(found, Ok(value));
        }
        let parameter = |index| {
            let mut len = 0usize;
            let size = Out(&raw mut len);
            out(|offset| cuFuncGetParamInfo(bounded, index, offset, size))
                .map(|at: usize| (at, len))
        };
        assert_eq!(out(|count| cuFuncGetParamCount(bounded, count)), Ok(3));
        let layout: Vec<_> = (0..3).map(|index| parameter(index).unwrap()).collect();
        assert_eq!(layout, [(0, 1), (8, 24), (32, 8)]);
        assert_eq!(parameter(3), Err(CuError::INVALID_VALUE));
        assert_eq!(out(|count| cuModuleGetFunctionCount(count, module)), Ok(7));
        assert_eq!(out(|of| cuFuncGetModule(of, bounded)), Ok(module));
        let mut found: *const c_char = std::ptr::null();
        cuFuncGetName(&raw mut found, bounded).unwrap();
        assert!(!found.is_null());
        let blocks = |threads, shared| {
            out(|count| {
                cuOccupancyMaxActiveBlocksPerMultiprocessor(count, bounded, threads, shared)
            })
        };
        assert_eq!(blocks(128, 0), Ok(16), "2048 threads");
        assert_eq!(blocks(128, 50 << 10), Ok(3), "shared memory");
        assert_eq!(blocks(256, 0), Ok(0), "never");
        assert_eq!(blocks(0, 0), Err(CuError::INVALID_VALUE));
    });
}

#[test]
fn launches_are_checked_at_the_call() {
    alone("launches_are_checked_at_the_call", &[], || {
        start();
        let module = load(PTX).unwrap();
        let bounded = function(module, "bounded").unwrap();
        let launch = |grid, block, shared| {
            launch_shape(bounded, grid, block, shared, CuStream(0), &[0, 0, 0])
        };
        let one = [1, 1, 1];
        launch(one, [128, 1, 1], 0).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            launch(one, [129, 1, 1], 0),
            Err(CuError::LAUNCH_OUT_OF_RESOURCES)
        );
        assert_eq!(launch([0, 1, 1], one, 0), BAD);
        assert_eq!(launch([1, 70_000, 1], one, 0), BAD);
        assert_eq!(launch(one, one, 60_000), BAD);
        let set = CuFunctionAttribute(8);
        assert_eq!(
            cuFuncSetAttribute(bounded, set, 163 << 10),
            BAD,
            "with the static part"
        );
        cuFuncSetAttribute(bounded, set, 60_000).unwrap();
        launch(one, one, 60_000).unwrap();
        assert_eq!(launch(one, one, 60_001), BAD);
        let none = std::ptr::null_mut();
        let missing = cuLaunchKernel(bounded, 1, 1, 1, 1, 1, 1, 0, CuStream(0), none, none);
        assert_eq!(missing, BAD, "no parameters");
        cuCtxSynchronize().unwrap();
    });
}

#[test]
fn parameters_come_in_a_buffer_too() {
    alone("parameters_come_in_a_buffer_too", &[], || {
        start();
        let set = function(load(PTX).unwrap(), "set").unwrap();
        let memory = allocate(4).unwrap();
        let none = std::ptr::null_mut();
        let launch = |value: u64, len: usize| {
            let (mut buffer, mut len) = ([memory.0, value], len);
            let mut extra = extra(&mut buffer, &mut len);
            let extra = extra.as_mut_ptr();
            cuLaunchKernel(set, 1, 1, 1, 1, 1, 1, 0, CuStream(0), none, extra)
        };
        launch(77, 12).unwrap();
        assert_eq!(word(memory), Ok(77));
        assert_eq!(launch(78, 8), BAD, "too short");
        launch(79, 16).unwrap();
        assert_eq!(word(memory), Ok(79), "padded");
        let (mut buffer, mut len) = ([memory.0, 80], 12);
        let mut extra = extra(&mut buffer, &mut len);
        let config = configuration(&mut []);
        cuLaunchKernelEx(&raw const config, set, none, extra.as_mut_ptr()).unwrap();
        assert_eq!(word(memory), Ok(80));
    });
}

/// CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END.
fn extra(buffer: &mut [u64; 2], len: &mut usize) -> [*mut c_void; 5] {
    let mark = std::ptr::without_provenance_mut::<c_void>;
    [
        mark(1),
        buffer.as_mut_ptr().cast(),
        mark(2),
        (&raw mut *len).cast(),
        mark(0),
    ]
}

/// `CUlaunchAttribute`.
#[repr(C)]
struct Attribute {
    id: u32,
    pad: u32,
    value: [u64; 8],
}

fn configuration(attributes: &mut [Attribute]) -> CuLaunchConfig {
    CuLaunchConfig {
        grid: [1; 3],
        block: [1; 3],
        shared_mem_bytes: 0,
        stream: CuStream(0),
        num_attrs: u32::try_from(attributes.len()).unwrap(),
        attrs: attributes.as_mut_ptr().cast(),
    }
}

#[test]
fn a_library_serves_every_context() {
    alone(
        "a_library_serves_every_context",
        &[("SOFTGPU_DEVICES", "2")],
        || {
            cuInit(0).unwrap();
            let library = library(PTX).unwrap();
            let set_name = text("set");
            let set = out(|kernel| cuLibraryGetKernel(kernel, library, name(&set_name))).unwrap();
            assert_eq!(out(|count| cuLibraryGetKernelCount(count, library)), Ok(7));
            let mut answers = Vec::new();
            for device in 0..2 {
                out(|context| cuCtxCreate_v2(context, 0, CuDevice(device))).unwrap();
                let memory = allocate(4).unwrap();
                launch(CuFunction(set.0), CuStream(0), &[memory.0, 5]).unwrap();
                assert_eq!(word(memory), Ok(5), "a kernel launches like a function");
                let own = out(|function| cuKernelGetFunction(function, set)).unwrap();
                launch(own, CuStream(0), &[memory.0, 6]).unwrap();
                assert_eq!(word(memory), Ok(6));
                let module = out(|module| cuLibraryGetModule(module, library)).unwrap();
                assert_eq!(function(module, "set"), Ok(own));
                assert_eq!(cuModuleUnload(module), Err(CuError::NOT_PERMITTED));
                answers.push(global(module, "answer").unwrap().0);
            }
            assert_ne!(answers[0], answers[1], "variables are each context's own");
            cuLibraryUnload(library).unwrap();
            let gone = launch(CuFunction(set.0), CuStream(0), &[0, 0]);
            assert_eq!(gone, Err(CuError::INVALID_HANDLE));
        },
    );
}

#[test]
fn a_fault_poisons_its_context_alone() {
    alone("a_fault_poisons_its_context_alone", &[], || {
        let primary = start();
        let module = load(PTX).unwrap();
        let wild = function(module, "wild").unwrap();
        let memory = allocate(4).unwrap();
        let event = out(|event| cuEventCreate(event, 0)).unwrap();
        launch(wild, CuStream(0), &[]).unwrap();
        let _ = cuEventRecord(event, CuStream(0));
        let fault = Err(CuError::ILLEGAL_ADDRESS);
        assert_eq!(cuCtxSynchronize(), fault);
        assert_eq!(cuCtxSynchronize(), fault, "for good");
        assert_eq!(allocate(4).map(drop), fault);
        assert_eq!(upload(memory, &[1; 4]), fault);
        assert_eq!(cuStreamQuery(CuStream(0)), fault);
        assert_eq!(cuEventSynchronize(event), fault);
        assert_eq!(launch(wild, CuStream(0), &[]), fault);
        let other = out(|context| cuCtxCreate_v2(context, 0, CuDevice(0))).unwrap();
        assert_ne!(other, primary);
        allocate(4).unwrap();
        cuCtxSynchronize().unwrap();
        cuCtxSetCurrent(primary).unwrap();
        assert_eq!(allocate(4).map(drop), fault);
        cuDevicePrimaryCtxReset_v2(CuDevice(0)).unwrap();
        allocate(4).unwrap();
        cuCtxSynchronize().unwrap();
        assert_eq!(
            cuModuleUnload(module),
            Err(CuError::INVALID_HANDLE),
            "gone with the reset"
        );
    });
}

#[test]
fn a_kernel_without_end_does_not_keep_the_process() {
    alone(
        "a_kernel_without_end_does_not_keep_the_process",
        &[],
        || {
            start();
            let forever = function(load(PTX).unwrap(), "forever").unwrap();
            launch(forever, CuStream(0), &[]).unwrap();
            assert_eq!(cuStreamQuery(CuStream(0)), Err(CuError::NOT_READY));
            cuDevicePrimaryCtxRelease(CuDevice(0)).unwrap();
            start();
            cuCtxSynchronize().unwrap();
        },
    );
}

#[test]
fn what_kernels_print_appears_when_somebody_waits() {
    let name = "what_kernels_print_appears_when_somebody_waits";
    if std::env::var_os("SOFTGPU_TEST_CHILD").is_some() {
        start();
        let say = function(load(PTX).unwrap(), "say").unwrap();
        launch_shape(say, [2, 1, 1], [2, 1, 1], 0, CuStream(0), &[]).unwrap();
        cuCtxSynchronize().unwrap();
        return;
    }
    let said = said_alone(name, &[]);
    assert_eq!(said.matches("hello\n").count(), 4, "{said}");
}

#[test]
fn launch_attributes_are_ignored_or_refused() {
    alone("launch_attributes_are_ignored_or_refused", &[], || {
        start();
        let wild = function(load(PTX).unwrap(), "say").unwrap();
        let none = std::ptr::null_mut();
        let launch = |id: u32, value: u64| {
            let value = [value, 0, 0, 0, 0, 0, 0, 0];
            let mut attributes = [Attribute { id, pad: 0, value }];
            let config = configuration(&mut attributes);
            cuLaunchKernelEx(&raw const config, wild, none, none)
        };
        let refused = Err(CuError::NOT_SUPPORTED);
        launch(6, 1).unwrap();
        launch(8, 1).unwrap();
        launch(4, 0x1_0000_0001).unwrap();
        assert_eq!(launch(4, 0x1_0000_0002), refused, "a cluster of two");
        launch(2, 1).unwrap();
        launch(2, 0).unwrap();
        let unread = Attribute {
            id: 0,
            pad: 0,
            value: [0; 8],
        };
        assert_eq!((unread.id, unread.pad, unread.value[0]), (0, 0, 0));
        let nothing = cuLaunchKernelEx(std::ptr::null(), wild, none, none);
        assert_eq!(nothing, BAD);
    });
}
